/work/main/plugins/json-lines/target/release/deps/driftline_abi-47a424e928614c5b.d: /work/main/crates/abi/src/lib.rs /work/main/crates/abi/src/codes.rs /work/main/crates/abi/src/layout.rs /work/main/crates/abi/src/tables.rs /work/main/crates/abi/src/types.rs

/work/main/plugins/json-lines/target/release/deps/libdriftline_abi-47a424e928614c5b.rlib: /work/main/crates/abi/src/lib.rs /work/main/crates/abi/src/codes.rs /work/main/crates/abi/src/layout.rs /work/main/crates/abi/src/tables.rs /work/main/crates/abi/src/types.rs

/work/main/plugins/json-lines/target/release/deps/libdriftline_abi-47a424e928614c5b.rmeta: /work/main/crates/abi/src/lib.rs /work/main/crates/abi/src/codes.rs /work/main/crates/abi/src/layout.rs /work/main/crates/abi/src/tables.rs /work/main/crates/abi/src/types.rs

/work/main/crates/abi/src/lib.rs:
/work/main/crates/abi/src/codes.rs:
/work/main/crates/abi/src/layout.rs:
/work/main/crates/abi/src/tables.rs:
/work/main/crates/abi/src/types.rs:
