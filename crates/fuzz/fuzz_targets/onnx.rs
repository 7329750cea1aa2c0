//! A graph, as far as its external data are looked for.

#![no_main]

use driftline_fuzz::file;
use driftline_model::ModelPackage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    file("m.onnx", bytes);
    drop(ModelPackage::open(&file(
        "model.toml",
        driftline_fuzz::ONNX_MANIFEST,
    )));
});
