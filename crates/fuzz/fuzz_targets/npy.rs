//! The array of images of such an archive.

#![no_main]

use driftline_fuzz::{file, read_images, zipped};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let archive = zipped(&[("arr_0.npy", bytes)]);
    read_images(&file("images.npz", &archive));
});
