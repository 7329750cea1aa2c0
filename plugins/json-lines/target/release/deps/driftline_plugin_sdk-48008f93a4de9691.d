/work/main/plugins/json-lines/target/release/deps/driftline_plugin_sdk-48008f93a4de9691.d: /work/main/crates/plugin-sdk/src/lib.rs /work/main/crates/plugin-sdk/src/arguments.rs /work/main/crates/plugin-sdk/src/embedding.rs /work/main/crates/plugin-sdk/src/export.rs /work/main/crates/plugin-sdk/src/guard.rs /work/main/crates/plugin-sdk/src/instance.rs /work/main/crates/plugin-sdk/src/logger.rs /work/main/crates/plugin-sdk/src/sink.rs /work/main/crates/plugin-sdk/src/transform.rs

/work/main/plugins/json-lines/target/release/deps/libdriftline_plugin_sdk-48008f93a4de9691.rlib: /work/main/crates/plugin-sdk/src/lib.rs /work/main/crates/plugin-sdk/src/arguments.rs /work/main/crates/plugin-sdk/src/embedding.rs /work/main/crates/plugin-sdk/src/export.rs /work/main/crates/plugin-sdk/src/guard.rs /work/main/crates/plugin-sdk/src/instance.rs /work/main/crates/plugin-sdk/src/logger.rs /work/main/crates/plugin-sdk/src/sink.rs /work/main/crates/plugin-sdk/src/transform.rs

/work/main/plugins/json-lines/target/release/deps/libdriftline_plugin_sdk-48008f93a4de9691.rmeta: /work/main/crates/plugin-sdk/src/lib.rs /work/main/crates/plugin-sdk/src/arguments.rs /work/main/crates/plugin-sdk/src/embedding.rs /work/main/crates/plugin-sdk/src/export.rs /work/main/crates/plugin-sdk/src/guard.rs /work/main/crates/plugin-sdk/src/instance.rs /work/main/crates/plugin-sdk/src/logger.rs /work/main/crates/plugin-sdk/src/sink.rs /work/main/crates/plugin-sdk/src/transform.rs

/work/main/crates/plugin-sdk/src/lib.rs:
/work/main/crates/plugin-sdk/src/arguments.rs:
/work/main/crates/plugin-sdk/src/embedding.rs:
/work/main/crates/plugin-sdk/src/export.rs:
/work/main/crates/plugin-sdk/src/guard.rs:
/work/main/crates/plugin-sdk/src/instance.rs:
/work/main/crates/plugin-sdk/src/logger.rs:
/work/main/crates/plugin-sdk/src/sink.rs:
/work/main/crates/plugin-sdk/src/transform.rs:

# env-dep:CARGO_PKG_VERSION=0.1.0
