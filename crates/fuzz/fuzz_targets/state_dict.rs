//! The pickle of a state dict, in an archive without checksums to get past.

#![no_main]

use driftline_fuzz::{file, zipped};
use driftline_model::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let archive = zipped(&[("x/data.pkl", bytes), ("x/data/0", &[0; 4096])]);
    drop(Weights::open(&file("weights.pth", &archive)));
});
