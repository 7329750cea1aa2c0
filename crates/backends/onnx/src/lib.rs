//! The ONNX Runtime backend. libonnxruntime is loaded at run time, so building needs nothing.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`backend`] | [`OnnxBackend`]: a session, its input and outputs |
//! | [`library`] | finds libonnxruntime and checks it before `ort` touches it |
//! | `cuda` | the driver's devices, and the provider for one |

pub mod backend;
mod cuda;
pub mod library;

pub use backend::OnnxBackend;
pub use library::{Found, find};

use std::path::PathBuf;

use driftline_core::{BackendConfig, EmbeddingBackend, Engine, Registration, Registry, Result};

/// Registers `onnx`; libraries that driftline installed are looked for in `installed`.
pub fn register(
    registry: &mut Registry<BackendConfig, Box<dyn EmbeddingBackend>>,
    installed: Option<PathBuf>,
) -> Result<()> {
    registry.register(Registration::built_in(
        "onnx",
        &["ort"],
        "ONNX Runtime on the CPU or CUDA; needs libonnxruntime",
        move |config| Ok(Box::new(OnnxBackend::open(config, installed.as_deref())?) as _),
    ))
}

/// Registers the engine of `onnx`: the library at a path, or the one that is found.
pub fn register_engine(
    registry: &mut Registry<Option<PathBuf>, Engine>,
    installed: Option<PathBuf>,
) -> Result<()> {
    registry.register(Registration::built_in(
        "onnx",
        &["ort"],
        "ONNX Runtime",
        move |runtime: &Option<PathBuf>| {
            let found = find(runtime.as_deref(), installed.as_deref())?;
            Ok(Engine {
                version: format!("onnxruntime {}", found.version),
                devices: found.devices(),
            })
        },
    ))
}
