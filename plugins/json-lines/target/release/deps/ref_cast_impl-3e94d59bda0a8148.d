/work/main/plugins/json-lines/target/release/deps/ref_cast_impl-3e94d59bda0a8148.d: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/ref-cast-impl-1.0.27/src/lib.rs

/work/main/plugins/json-lines/target/release/deps/libref_cast_impl-3e94d59bda0a8148.so: /root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/ref-cast-impl-1.0.27/src/lib.rs

/root/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f/ref-cast-impl-1.0.27/src/lib.rs:

# env-dep:CARGO_PKG_VERSION_PATCH=27
