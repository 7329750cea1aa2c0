//! A model by path or name.

use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use driftline_rows::{create_folder, write_atomic};
use etcetera::{BaseStrategy, choose_base_strategy};

/// The sample model: files and content, so that the first command needs no other file.
const SAMPLE: [(&str, &[u8]); 2] = [
    (
        "weights.safetensors",
        include_bytes!("../models/sample/weights.safetensors"),
    ),
    ("model.toml", include_bytes!("../models/sample/model.toml")),
];

/// The path of a model: `sample`, which ships with driftline, or a path as it is.
pub fn resolve(model: &str) -> Result<PathBuf> {
    match model {
        "sample" => sample(),
        path if Path::new(path).exists() => Ok(PathBuf::from(path)),
        path => Err(
            Error::new(ErrorKind::NotFound, "open model", "there is no such model")
                .with("model", path)
                .remedy("pass a model.toml, a weights file, or `sample`"),
        ),
    }
}

/// `$XDG_CACHE_HOME/driftline`, or what stands for it on this system.
pub fn cache_folder() -> Result<PathBuf> {
    let strategy = choose_base_strategy().map_err(|cause| {
        Error::new(
            ErrorKind::Resource,
            "find the cache folder",
            "there is no home folder",
        )
        .because(cause)
        .remedy("set XDG_CACHE_HOME to a folder you may write to")
    })?;
    Ok(strategy.cache_dir().join("driftline"))
}

/// The sample model as files in the cache folder.
fn sample() -> Result<PathBuf> {
    let folder = cache_folder()?.join(concat!("sample-model-", env!("CARGO_PKG_VERSION")));
    create_folder(&folder)?;
    for (name, content) in SAMPLE {
        let path = folder.join(name);
        if !std::fs::read(&path).is_ok_and(|found| found == content) {
            write_atomic(&path, content)?;
        }
    }
    Ok(folder.join("model.toml"))
}
