//! An archive of NumPy arrays.

#![no_main]

use driftline_fuzz::{file, read_images};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read_images(&file("images.npz", bytes));
});
