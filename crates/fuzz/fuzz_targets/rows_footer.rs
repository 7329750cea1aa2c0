//! The footer of a row file.

#![no_main]

use driftline_fuzz::file;
use driftline_rows::{Footer, RowsReader};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let path = file("rows.parquet", bytes);
    drop(Footer::read(&path));
    if let Ok(rows) = RowsReader::open(&path) {
        rows.take_while(Result::is_ok).for_each(drop);
    }
});
