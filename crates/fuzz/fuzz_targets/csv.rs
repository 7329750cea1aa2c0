//! A file of rows that was sent to the server: CSV, or Parquet where it begins so.

#![no_main]

use driftline_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    driftline_server::fuzzing::table(&file("rows.csv", bytes));
});
