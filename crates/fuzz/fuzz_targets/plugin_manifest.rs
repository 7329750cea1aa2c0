//! The manifest of a plugin.

#![no_main]

use driftline_fuzz::file;
use driftline_plugin_host::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    drop(Manifest::open(&file("plugin.toml", bytes)));
});
