/work/main/plugins/json-lines/target/release/deps/driftline_core-ea702e1dbf388d84.d: /work/main/crates/core/src/lib.rs /work/main/crates/core/src/backend.rs /work/main/crates/core/src/error.rs /work/main/crates/core/src/image.rs /work/main/crates/core/src/parts.rs /work/main/crates/core/src/registry.rs /work/main/crates/core/src/rows.rs /work/main/crates/core/src/sink.rs /work/main/crates/core/src/source.rs /work/main/crates/core/src/transform.rs

/work/main/plugins/json-lines/target/release/deps/libdriftline_core-ea702e1dbf388d84.rlib: /work/main/crates/core/src/lib.rs /work/main/crates/core/src/backend.rs /work/main/crates/core/src/error.rs /work/main/crates/core/src/image.rs /work/main/crates/core/src/parts.rs /work/main/crates/core/src/registry.rs /work/main/crates/core/src/rows.rs /work/main/crates/core/src/sink.rs /work/main/crates/core/src/source.rs /work/main/crates/core/src/transform.rs

/work/main/plugins/json-lines/target/release/deps/libdriftline_core-ea702e1dbf388d84.rmeta: /work/main/crates/core/src/lib.rs /work/main/crates/core/src/backend.rs /work/main/crates/core/src/error.rs /work/main/crates/core/src/image.rs /work/main/crates/core/src/parts.rs /work/main/crates/core/src/registry.rs /work/main/crates/core/src/rows.rs /work/main/crates/core/src/sink.rs /work/main/crates/core/src/source.rs /work/main/crates/core/src/transform.rs

/work/main/crates/core/src/lib.rs:
/work/main/crates/core/src/backend.rs:
/work/main/crates/core/src/error.rs:
/work/main/crates/core/src/image.rs:
/work/main/crates/core/src/parts.rs:
/work/main/crates/core/src/registry.rs:
/work/main/crates/core/src/rows.rs:
/work/main/crates/core/src/sink.rs:
/work/main/crates/core/src/source.rs:
/work/main/crates/core/src/transform.rs:
