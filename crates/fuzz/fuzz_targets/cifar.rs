//! A batch of CIFAR-10 in the python form, beside the four others.

#![no_main]

use driftline_fuzz::{cifar_folder, read_images};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read_images(&cifar_folder(bytes));
});
