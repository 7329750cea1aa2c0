//! Weights as PyTorch saves them.

#![no_main]

use driftline_fuzz::file;
use driftline_model::Weights;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(Weights::open(&file("weights.pth", bytes)));
});
