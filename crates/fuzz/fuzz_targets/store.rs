//! `monitor.json` and `rewrite.json` of a store.

#![no_main]

use driftline_fuzz::store;
use driftline_sink_local::Store;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(store) = Store::open(&store(bytes), "project", "model") {
        drop(store.parts());
        drop(store.clusters());
    }
});
