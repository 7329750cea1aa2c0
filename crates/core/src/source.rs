//! Where labelled images come from.

use crate::{ImageBatch, Result};

/// What a source is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceInfo {
    /// Path or name, as the user wrote it.
    pub location: String,
    /// Rows, unreadable images included.
    pub rows: u64,
    /// Hex sha256 over names and content, or sizes and times where the content is too large to hash first;
    /// part of the run id.
    pub fingerprint: String,
}

/// The true class of an image, in the words of its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// Position in the model's list of classes.
    Index(u64),
    /// Name of the class.
    Name(String),
}

/// One usable row of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// Absolute row in the source, from 0; unreadable images are counted too.
    pub row: u64,
    /// True class, where it is known.
    pub label: Option<Label>,
    /// Address of the image: a file name, or a name inside an archive.
    pub url: String,
}

/// A row that could not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SkippedImage {
    /// Absolute row in the source, from 0.
    pub row: u64,
    /// Address of the image.
    pub url: String,
    /// What was wrong with it.
    pub reason: String,
}

/// The next images of a source.
#[derive(Debug, Clone)]
pub struct SourceBatch {
    /// The usable images.
    pub images: ImageBatch,
    /// One row for each image, in order.
    pub rows: Vec<SourceRow>,
    /// Rows met on the way that could not be used.
    pub skipped: Vec<SkippedImage>,
}

/// A sequence of labelled images, all of one shape.
///
/// # Behavior
/// - Rows come in one fixed order, whatever the batch size.
/// - A bad image is reported in [`SourceBatch::skipped`] and does not end the sequence.
/// - A damaged container (archive, Parquet file) is an error that names it.
pub trait ImageSource: Send {
    /// What this source is.
    fn info(&self) -> &SourceInfo;

    /// The next `rows` rows, or `None` when there are no more; fewer at the end, and where so many images of this shape
    /// would take too much memory. `rows` is at least 1.
    fn next_batch(&mut self, rows: usize) -> Result<Option<SourceBatch>>;

    /// Passes over the next `rows` rows without decoding them, as a resumed run does.
    fn skip_rows(&mut self, rows: u64) -> Result<()>;
}
