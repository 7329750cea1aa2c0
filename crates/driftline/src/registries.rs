//! Every backend, transform and sink there is, by name.

use std::path::Path;

use driftline_core::{
    BackendConfig, Device, DriftTransform, EmbeddingBackend, MonitorSink, Registration, Registry,
    Result, SinkConfig, TransformSpec,
};

use crate::plugins::Plugins;
#[cfg(feature = "onnx")]
use crate::runtimes;

/// All embedding backends: those that are compiled in, and those of plugins.
pub fn backends(plugins: &Plugins) -> Result<Registry<BackendConfig, Box<dyn EmbeddingBackend>>> {
    let mut registry = Registry::new("backend");
    driftline_backend_candle::register(&mut registry)?;
    #[cfg(feature = "onnx")]
    driftline_backend_onnx::register(&mut registry, runtimes::folder("onnx"))?;
    plugins.register_backends(&mut registry);
    if registry.find(TCH).is_err() {
        registry.register(Registration {
            name: TCH.to_owned(),
            aliases: Vec::new(),
            summary: "libtorch on the CPU and CUDA".to_owned(),
            origin: "plugin".to_owned(),
            constructor: Err(plugins.without(TCH)),
        })?;
    }
    Ok(registry)
}

/// The backend that comes with driftline as a plugin.
pub(crate) const TCH: &str = "tch";

/// All drift transforms: those that are compiled in, and those of plugins.
pub fn transforms(plugins: &Plugins) -> Result<Registry<TransformSpec, Box<dyn DriftTransform>>> {
    let mut registry = Registry::new("transform");
    driftline_transforms::register(&mut registry)?;
    plugins.register_transforms(&mut registry);
    Ok(registry)
}

/// All sinks: those that are compiled in, and those of plugins.
pub fn sinks(plugins: &Plugins) -> Result<Registry<SinkConfig, Box<dyn MonitorSink>>> {
    let mut registry = Registry::new("sink");
    driftline_sink_local::register(&mut registry)?;
    #[cfg(feature = "fiddler")]
    driftline_sink_fiddler::register(&mut registry)?;
    plugins.register_sinks(&mut registry);
    Ok(registry)
}

/// The transforms of an expression such as `blur(sigma=0.1..2),brightness(0.4..0.6)`, in order.
pub fn build_transforms(
    expression: &str,
    plugins: &Plugins,
) -> Result<Vec<Box<dyn DriftTransform>>> {
    let registry = transforms(plugins)?;
    TransformSpec::parse_list(expression)?
        .iter()
        .map(|spec| registry.build(&spec.name, spec))
        .collect()
}

/// What a backend computes with on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Engine and version, as in `onnxruntime 1.32.0`.
    pub version: String,
    /// What it computes on, on this machine.
    pub devices: Vec<Device>,
}

/// The engine of the backend `name`, or why it cannot be used. The library of an engine is looked for, as `runtime` or
/// where it is always looked for; a plugin's own code is not run.
pub fn engine(name: &str, plugins: &Plugins, runtime: Option<&Path>) -> Result<Engine> {
    match name {
        driftline_backend_candle::NAME => driftline_backend_candle::engine().map(Engine::on_cpu),
        #[cfg(feature = "onnx")]
        "onnx" => driftline_backend_onnx::find(runtime, runtimes::folder("onnx").as_deref()).map(
            |found| Engine {
                version: format!("onnxruntime {}", found.version),
                devices: found.devices(),
            },
        ),
        other => plugins.engine(other, runtime),
    }
}

impl Engine {
    /// An engine that computes on the CPU alone.
    pub(crate) fn on_cpu(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            devices: vec![Device::Cpu],
        }
    }
}
