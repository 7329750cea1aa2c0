//! An archive of CIFAR-10, before it is packed.

#![no_main]

use driftline_fuzz::{file, gzip, read_images};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read_images(&file("cifar.tar.gz", &gzip(bytes)));
});
