/work/main/plugins/json-lines/target/release/deps/driftline_json_lines-ea704874193e2f86.d: src/lib.rs src/appended.rs

/work/main/plugins/json-lines/target/release/deps/driftline_json_lines-ea704874193e2f86: src/lib.rs src/appended.rs

src/lib.rs:
src/appended.rs:

# env-dep:CARGO_PKG_LICENSE=MIT OR Apache-2.0
# env-dep:CARGO_PKG_NAME=driftline-json-lines
# env-dep:CARGO_PKG_VERSION=0.1.0
