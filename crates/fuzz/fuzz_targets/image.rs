//! A single image.

#![no_main]

use driftline_data::Picture;
use driftline_fuzz::file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(Picture::open(&file("image.png", bytes)));
});
