/work/main/plugins/json-lines/target/release/deps/lexical_core-d79c83e974072c10.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/lexical-core-1.0.6/src/lib.rs

/work/main/plugins/json-lines/target/release/deps/liblexical_core-d79c83e974072c10.rlib: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/lexical-core-1.0.6/src/lib.rs

/work/main/plugins/json-lines/target/release/deps/liblexical_core-d79c83e974072c10.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/lexical-core-1.0.6/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/lexical-core-1.0.6/src/lib.rs:
