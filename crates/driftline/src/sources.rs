//! A `SRC` on the command line -> images.

use std::path::PathBuf;

use driftline_core::{Error, ErrorKind, ImageSource, Result};
use driftline_data::{DecodeOptions, Split};
use driftline_fetch::{Artifact, CIFAR10_BINARY, Cache};
use driftline_pipeline::Progress;

/// Opens a source: all that [`driftline_data::open`] recognises, and `cifar10`, `cifar10#train` or `cifar10#test`,
/// which is downloaded once. A source without images is refused.
pub fn open(
    location: &str,
    options: &DecodeOptions,
    progress: &dyn Progress,
) -> Result<Box<dyn ImageSource>> {
    let source = match Split::strip_suffix(location) {
        ("cifar10", split) => {
            let archive = download(&CIFAR10_BINARY, progress)?;
            driftline_data::open_cifar10(&archive, split.unwrap_or_default(), options)
        }
        _ => driftline_data::open(location, options),
    }?;
    if source.info().rows == 0 {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "open images",
            "the source has no images",
        )
        .with("source", location)
        .remedy("name a source that has at least one"));
    }
    Ok(source)
}

/// The path of an artifact in the cache; downloads it first if it is not there.
pub(crate) fn download(artifact: &Artifact, progress: &dyn Progress) -> Result<PathBuf> {
    let mut before = None;
    let path = Cache::open()?.fetch(artifact, &mut |now| {
        let counted = before.unwrap_or_else(|| {
            progress.begin(artifact.name, now.total);
            0
        });
        progress.advance(now.received.saturating_sub(counted));
        before = Some(now.received);
    })?;
    if before.is_some() {
        progress.end();
    }
    Ok(path)
}
