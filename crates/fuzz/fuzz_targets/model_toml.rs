//! The description of a model.

#![no_main]

use driftline_fuzz::file;
use driftline_model::ModelPackage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    file("m.onnx", b"");
    drop(ModelPackage::open(&file("model.toml", bytes)));
});
