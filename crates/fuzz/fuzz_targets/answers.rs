//! What a server at the address of Fiddler may answer.

#![no_main]

use driftline_fuzz::answer;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    answer(bytes);
});
