//! Images to a row file.

use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result, SkippedImage};
use driftline_pipeline::{Cancel, OnError, Progress};
use driftline_rows::RowsWriter;
use serde::Serialize;

use crate::baselines::note_origin;
use crate::{Components, Embedder, EmbedderOptions, Images};

/// How images are embedded.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedOptions {
    /// What embeds them.
    pub embedder: EmbedderOptions,
    /// Drift to inject, as in `blur(sigma=0.1..2)`.
    pub transform: String,
    /// Seed of the transforms.
    pub seed: u64,
    /// What a bad image does.
    pub on_error: OnError,
}

impl Default for EmbedOptions {
    fn default() -> Self {
        Self {
            embedder: EmbedderOptions::default(),
            transform: "none".to_owned(),
            seed: 42,
            on_error: OnError::default(),
        }
    }
}

/// A row file that was written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EmbedReport {
    /// The file.
    #[serde(serialize_with = "crate::as_shown")]
    pub output: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Images that were left out.
    pub skipped_images: u64,
    /// Length of an embedding.
    pub dim: usize,
    /// Images in a second inside the backend.
    pub images_per_second: f64,
    /// The images that were left out, and why.
    #[serde(skip)]
    pub skipped: Vec<SkippedImage>,
}

/// Embeds the images of `source` into the row file `output`, whose name without extension becomes the rows' window.
///
/// # Errors
/// `InvalidData` where no image is usable; `Interrupted` where `cancel` asked to stop; those of [`Embedder::open`],
/// [`Embedder::rows`] and writing. The file is there whole or not at all.
pub fn embed(
    source: &str,
    output: &Path,
    options: &EmbedOptions,
    components: &Components,
    cancel: &Cancel,
    progress: &dyn Progress,
) -> Result<EmbedReport> {
    let mut embedder = Embedder::open(&options.embedder, components, progress)?;
    let transforms = components.parse_transforms(&options.transform)?;
    let stem = output.file_stem().unwrap_or_default().to_string_lossy();
    let mut writer = RowsWriter::create(output, embedder.schema())?;
    let (mut rows, mut skipped) = (0, Vec::new());
    let images = Images {
        source,
        window: &stem,
        transforms: &transforms,
        seed: options.seed,
        on_error: options.on_error,
    };
    let (count, spent) = embedder.rows(images, cancel, progress, |part| {
        rows += part.rows.len() as u64;
        skipped.extend(part.skipped);
        writer.write(part.rows.batch())
    })?;
    if rows == 0 {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "embed",
            "the source has no usable image",
        )
        .with("source", source)
        .remedy("run again with `run.on_error=fail` to see the first error"));
    }
    note_origin(&mut writer, &embedder.origin())?;
    writer.finish()?;
    Ok(EmbedReport {
        output: output.to_owned(),
        rows,
        skipped_images: skipped.len() as u64,
        dim: embedder.schema().dim,
        images_per_second: count as f64 / spent.as_secs_f64().max(f64::MIN_POSITIVE),
        skipped,
    })
}
