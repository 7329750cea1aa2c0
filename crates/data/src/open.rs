//! The kind of a source, recognised from its location.

use std::fs;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, ImageSource, Result};

use crate::sample::SampleSource;
use crate::{DecodeOptions, Split, cifar, folder, npz, parquet};

/// Rows of `sample#train`.
pub const SAMPLE_TRAIN_ROWS: u64 = 10_000;
/// Rows of `sample#test`.
pub const SAMPLE_TEST_ROWS: u64 = 6_000;

const RECOGNISED: &str = "a source is one of: a .parquet file or a folder of them, an .npz file, a folder of images \
    with or without class folders, a cifar-10-batches-bin or cifar-10-batches-py folder or its .tar.gz \
    (`#train` or `#test` after it picks the split), or `sample`";

/// Opens the source at `location`: a path, or `sample`, with `#train` or `#test` where there are splits.
///
/// # Errors
/// `NotFound` when there is nothing at the path, `InvalidConfig` when its kind is not recognised or has no splits,
/// `InvalidData` when the container is damaged; each names the file.
pub fn open(location: &str, options: &DecodeOptions) -> Result<Box<dyn ImageSource>> {
    // A path that exists is meant as it is, `sample` always as the data set: `./sample` is the folder.
    let (plain, split) = if location != "sample" && Path::new(location).exists() {
        (location, None)
    } else {
        Split::strip_suffix(location)
    };
    if plain == "sample" {
        let split = split.unwrap_or_default();
        let rows = match split {
            Split::Train => SAMPLE_TRAIN_ROWS,
            Split::Test => SAMPLE_TEST_ROWS,
        };
        return Ok(Box::new(SampleSource::open(split, rows, options)?));
    }
    let path = Path::new(plain);
    let refuse = |message: &str| {
        Error::new(ErrorKind::InvalidConfig, "open images", message).with("source", location)
    };
    let metadata = fs::metadata(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::new(
            ErrorKind::NotFound,
            "open images",
            "there is no such file or folder",
        )
        .with("source", location)
        .remedy(RECOGNISED),
        _ => Error::io("open images", path, e),
    })?;
    let name = path.file_name().unwrap_or_default();
    let name = name.to_string_lossy().to_ascii_lowercase();
    let is_cifar = if metadata.is_dir() {
        cifar::is_cifar_folder(path)
    } else {
        name.ends_with(".tar.gz") || name.ends_with(".tgz")
    };
    if is_cifar {
        let split = split.unwrap_or_default();
        return Ok(Box::new(cifar::open(path, location, split, options)?));
    }
    if split.is_some() {
        return Err(refuse("this source has no splits")
            .remedy("only CIFAR-10 and `sample` take `#train` or `#test`"));
    }
    let rows = if metadata.is_dir() {
        match shards(path)?.as_slice() {
            [] => folder::open(path, location, options)?,
            shards => parquet::open(shards, location, options)?,
        }
    } else if name.ends_with(".parquet") {
        parquet::open(&[path.to_owned()], location, options)?
    } else if name.ends_with(".npz") {
        npz::open(path, location, options)?
    } else {
        return Err(refuse("this is not a recognised kind of source").remedy(RECOGNISED));
    };
    Ok(Box::new(rows))
}

/// The Parquet files directly in `folder`, sorted by name.
fn shards(folder: &Path) -> Result<Vec<PathBuf>> {
    let io = |e| Error::io("open images", folder, e);
    let mut shards = Vec::new();
    for entry in fs::read_dir(folder).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let hidden = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let extension = path.extension().unwrap_or_default();
        if !hidden && extension.eq_ignore_ascii_case("parquet") && path.is_file() {
            shards.push(path);
        }
    }
    shards.sort();
    Ok(shards)
}
