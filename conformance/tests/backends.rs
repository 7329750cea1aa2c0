//! The built-in backends.

use driftline_backend_candle::CandleBackend;
use driftline_backend_onnx::OnnxBackend;
use driftline_conformance::trials::{main as run, make};

fn main() {
    let mut backends = vec![(
        "candle",
        make(|config| Ok(Box::new(CandleBackend::open(config)?) as _)),
    )];
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        let onnx = make(|config| Ok(Box::new(OnnxBackend::open(config, None)?) as _));
        backends.push(("onnx", onnx));
    } else {
        println!("skipped: onnx; set ORT_DYLIB_PATH to a libonnxruntime");
    }
    run(backends);
}
