//! A pickle of any names.

#![no_main]

use driftline_core::Budget;
use driftline_fuzz::walk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut budget = Budget::new(64 << 20);
    if let Ok(pickle) = driftline_pickle::parse(bytes, &|_, _| true, &mut budget) {
        walk(pickle.root(), &mut 10_000);
    }
});
