//! Every backend, transform and sink there is, by name.

use driftline_core::{
    BackendConfig, DriftTransform, EmbeddingBackend, Error, ErrorKind, MonitorSink, Registry,
    Result, SinkConfig, TransformSpec,
};

use crate::runtimes;

/// All embedding backends.
pub fn backends() -> Result<Registry<BackendConfig, Box<dyn EmbeddingBackend>>> {
    let mut registry = Registry::new("backend");
    driftline_backend_candle::register(&mut registry)?;
    driftline_backend_onnx::register(&mut registry, runtimes::folder("onnx"))?;
    Ok(registry)
}

/// All drift transforms.
pub fn transforms() -> Result<Registry<TransformSpec, Box<dyn DriftTransform>>> {
    let mut registry = Registry::new("transform");
    driftline_transforms::register(&mut registry)?;
    Ok(registry)
}

/// All sinks.
pub fn sinks() -> Result<Registry<SinkConfig, Box<dyn MonitorSink>>> {
    let mut registry = Registry::new("sink");
    driftline_sink_local::register(&mut registry)?;
    Ok(registry)
}

/// The transforms of an expression such as `blur(sigma=0.1..2),brightness(0.4..0.6)`, in order.
pub fn build_transforms(expression: &str) -> Result<Vec<Box<dyn DriftTransform>>> {
    let registry = transforms()?;
    TransformSpec::parse_list(expression)?
        .iter()
        .map(|spec| registry.build(&spec.name, spec))
        .collect()
}

/// Engine and version of a built-in backend on this machine, or why it cannot be used.
pub fn engine(backend: &str) -> Result<String> {
    match backend {
        "candle" => Ok(driftline_backend_candle::ENGINE.to_owned()),
        "onnx" => driftline_backend_onnx::find(None, runtimes::folder("onnx").as_deref())
            .map(|found| format!("onnxruntime {}", found.version)),
        other => Err(Error::new(
            ErrorKind::Unsupported,
            "look up",
            format!("the engine of `{other}` is not known"),
        )),
    }
}
