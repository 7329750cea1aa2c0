/work/main/plugins/json-lines/target/release/deps/atoi-a240baee06660c73.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/atoi-2.0.0/src/lib.rs

/work/main/plugins/json-lines/target/release/deps/libatoi-a240baee06660c73.rlib: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/atoi-2.0.0/src/lib.rs

/work/main/plugins/json-lines/target/release/deps/libatoi-a240baee06660c73.rmeta: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/atoi-2.0.0/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/atoi-2.0.0/src/lib.rs:
