//! A model by path or name.

use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use driftline_fetch::{Cache, RESNET18_CIFAR10};
use driftline_pipeline::Progress;
use driftline_rows::{create_folder, write_atomic};

use crate::sources::download;

/// The sample model: files and content, so that the first command needs no other file.
const SAMPLE: [(&str, &[u8]); 2] = [
    (
        "weights.safetensors",
        include_bytes!("../models/sample/weights.safetensors"),
    ),
    ("model.toml", include_bytes!("../models/sample/model.toml")),
];

/// The path of a model: `sample`, which ships with driftline, `cifar10`, whose official weights are downloaded once,
/// or a path as it is.
pub fn resolve(model: &str, progress: &dyn Progress) -> Result<PathBuf> {
    match model {
        "sample" => sample(),
        "cifar10" => download(&RESNET18_CIFAR10, progress),
        path if Path::new(path).exists() => Ok(PathBuf::from(path)),
        path => Err(
            Error::new(ErrorKind::NotFound, "open model", "there is no such model")
                .with("model", path)
                .remedy("pass a model.toml, a weights file, `sample` or `cifar10`"),
        ),
    }
}

/// The sample model as files in the cache folder.
fn sample() -> Result<PathBuf> {
    let cache = Cache::open()?;
    let folder = cache
        .folder()
        .join(concat!("sample-model-", env!("CARGO_PKG_VERSION")));
    create_folder(&folder)?;
    for (name, content) in SAMPLE {
        let path = folder.join(name);
        if !std::fs::read(&path).is_ok_and(|found| found == content) {
            write_atomic(&path, content)?;
        }
    }
    Ok(folder.join("model.toml"))
}
