//! The backend `tch`, which comes with driftline as a plugin: what stands in its place where that plugin is not here.

use std::path::PathBuf;

use driftline_core::{
    BackendConfig, EmbeddingBackend, Engine, Error, ErrorKind, Registration, Registry, Result,
};

/// Its name, and that of its runtime.
pub(crate) const TCH: &str = "tch";

/// Registers the backend with why it is missing, unless it is there.
pub(crate) fn register_missing(
    registry: &mut Registry<BackendConfig, Box<dyn EmbeddingBackend>>,
    reason: String,
) -> Result<()> {
    match registry.find(TCH) {
        Ok(_) => Ok(()),
        Err(_) => registry.register(missing(reason)),
    }
}

/// The same for its engine.
pub(crate) fn register_missing_engine(
    registry: &mut Registry<Option<PathBuf>, Engine>,
    reason: String,
) -> Result<()> {
    if registry.find(TCH).is_ok() {
        return Ok(());
    }
    let refuse =
        move |_: &Option<PathBuf>| Err(Error::new(ErrorKind::NotFound, "look up", reason.as_str()));
    registry.register(Registration {
        constructor: Ok(Box::new(refuse)),
        ..missing(String::new())
    })
}

fn missing<C, T>(reason: String) -> Registration<C, T> {
    Registration {
        name: TCH.to_owned(),
        aliases: Vec::new(),
        summary: "libtorch on the CPU and CUDA".to_owned(),
        origin: "plugin".to_owned(),
        constructor: Err(reason),
    }
}
