//! A model by path.

use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};

/// The path of a model: a `model.toml` or a weights file that exists.
pub fn resolve(model: &str) -> Result<PathBuf> {
    match Path::new(model) {
        path if path.exists() => Ok(path.to_owned()),
        _ => Err(
            Error::new(ErrorKind::NotFound, "open model", "there is no such model")
                .with("model", model)
                .remedy("pass a model.toml or a weights file with `--model`"),
        ),
    }
}
