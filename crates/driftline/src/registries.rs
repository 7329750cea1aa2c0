//! Every backend, transform and sink there is, by name.

use std::path::{Path, PathBuf};

use driftline_core::{
    BackendConfig, DriftTransform, EmbeddingBackend, Engine, MonitorSink, Registry, Result,
    SinkConfig, TransformSpec,
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
    plugins.register_backends(&mut registry)?;
    Ok(registry)
}

/// What each backend computes with on this machine, under its name; made from the library of the engine, where the user
/// names one. Whoever makes one looks for that library, and runs nothing of a plugin.
pub fn engines(plugins: &Plugins) -> Result<Registry<Option<PathBuf>, Engine>> {
    let mut registry = Registry::new("backend");
    driftline_backend_candle::register_engine(&mut registry)?;
    #[cfg(feature = "onnx")]
    driftline_backend_onnx::register_engine(&mut registry, runtimes::folder("onnx"))?;
    plugins.register_engines(&mut registry)?;
    Ok(registry)
}

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

/// The engine of the backend `name`, or why it cannot be used: one of [`engines`].
pub fn engine(name: &str, plugins: &Plugins, runtime: Option<&Path>) -> Result<Engine> {
    engines(plugins)?.build(name, &runtime.map(Path::to_owned))
}
