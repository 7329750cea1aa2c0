//! Raw rows to batches, the same way for every kind of source.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use driftline_core::{
    Error, ErrorKind, ImageBatch, ImageShape, ImageSource, Label, Result, SkippedImage,
    SourceBatch, SourceInfo, SourceRow,
};
use rayon::prelude::*;

use crate::DecodeOptions;

/// Most bytes of one encoded image that are read.
const MAX_ENCODED: u64 = 256 << 20;
/// Bytes of images, as their container holds them, from which on no more are read before these are decoded.
const ENOUGH_RAW: u64 = 32 << 20;
/// Most bytes of the pixels of a batch, but for one image.
const MAX_BATCH: usize = 64 << 20;
/// Longest name of a class, and longest url, that a row may carry; a file may repeat one for every row.
pub(crate) const MAX_NAME: usize = 4096;

/// An image as its container holds it.
pub(crate) enum RawImage {
    /// The bytes of a JPEG, PNG or WebP file.
    Encoded(Vec<u8>),
    /// A JPEG, PNG or WebP file that has not been read yet.
    File(PathBuf),
    /// u8 `[H, W, 3]` RGB or `[H, W]` grey.
    Pixels(ImageShape, Vec<u8>),
    /// There is no usable image, for this reason.
    Defect(String),
}

impl RawImage {
    /// Bytes that it holds, or will.
    fn bytes(&self) -> u64 {
        match self {
            Self::Encoded(bytes) | Self::Pixels(_, bytes) => bytes.len() as u64,
            Self::File(path) => fs::metadata(path).map_or(0, |file| file.len().min(MAX_ENCODED)),
            Self::Defect(_) => 0,
        }
    }
}

/// One row as its container holds it.
pub(crate) struct RawRow {
    pub(crate) image: RawImage,
    pub(crate) label: Option<Label>,
    pub(crate) url: String,
}

/// What a kind of source has to provide; [`RowSource`] does the rest.
pub(crate) trait RawRows: Send {
    /// The next row, or `None` after the last.
    fn next_row(&mut self) -> Result<Option<RawRow>>;

    /// Passes over `rows` rows, all of which exist, without reading more than it must.
    fn skip(&mut self, rows: u64) -> Result<()>;
}

/// A source made of raw rows.
pub(crate) struct RowSource {
    info: SourceInfo,
    options: DecodeOptions,
    raw: Box<dyn RawRows>,
    next: u64,
}

impl RowSource {
    pub(crate) fn new(
        info: SourceInfo,
        options: &DecodeOptions,
        raw: impl RawRows + 'static,
    ) -> Self {
        Self {
            info,
            options: *options,
            raw: Box::new(raw),
            next: 0,
        }
    }
}

impl RowSource {
    /// The rows from the next one on, before `end`, until they are enough to be decoded together; at least one.
    fn read_some(&mut self, end: u64) -> Result<Vec<RawRow>> {
        let mut raw = Vec::new();
        let mut held = 0;
        for _ in self.next..end {
            let row = self.raw.next_row()?.ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidData,
                    "read images",
                    format!("the rows end early: {} were announced", self.info.rows),
                )
                .with("file", &self.info.location)
                .remedy("the data changed while it was read; run the same command again")
            })?;
            held += row.image.bytes();
            raw.push(row);
            if held >= ENOUGH_RAW {
                break;
            }
        }
        Ok(raw)
    }
}

impl ImageSource for RowSource {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_batch(&mut self, rows: usize) -> Result<Option<SourceBatch>> {
        let left = usize::try_from(self.info.rows - self.next).unwrap_or(usize::MAX);
        let fitting = MAX_BATCH / self.options.shape.bytes().max(1);
        let rows = rows.min(left).min(fitting.max(1));
        if rows == 0 {
            return Ok(None);
        }
        let options = self.options;
        let mut pixels = Vec::new();
        let mut usable = Vec::new();
        let mut skipped = Vec::new();
        let end = self.next + rows as u64;
        while self.next < end {
            let raw = self.read_some(end)?;
            let first = self.next;
            self.next += raw.len() as u64;
            let decoded: Vec<_> = raw
                .into_par_iter()
                .map(|row| (decode(row.image, &options), row.label, row.url))
                .collect();
            for (row, (image, label, url)) in (first..).zip(decoded) {
                match image {
                    Ok(image) => {
                        pixels.extend_from_slice(&image);
                        usable.push(SourceRow { row, label, url });
                    }
                    Err(reason) => skipped.push(SkippedImage { row, url, reason }),
                }
            }
        }
        Ok(Some(SourceBatch {
            images: ImageBatch::new(self.options.shape, pixels)?,
            rows: usable,
            skipped,
        }))
    }

    fn skip_rows(&mut self, rows: u64) -> Result<()> {
        let rows = rows.min(self.info.rows - self.next);
        if rows > 0 {
            self.raw.skip(rows)?;
            self.next += rows;
        }
        Ok(())
    }
}

fn decode(image: RawImage, options: &DecodeOptions) -> Result<Vec<u8>, String> {
    match image {
        RawImage::Encoded(bytes) => options.encoded(&bytes),
        RawImage::File(path) => options.encoded(&read_image_file(&path)?),
        RawImage::Pixels(shape, pixels) => options.pixels(shape, pixels),
        RawImage::Defect(reason) => Err(reason),
    }
}

pub(crate) fn read_image_file(path: &Path) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_ENCODED + 1).read_to_end(&mut bytes))
        .map_err(|e| format!("the file cannot be read: {e}"))?;
    if bytes.len() as u64 > MAX_ENCODED {
        return Err(format!("the file is longer than {MAX_ENCODED} bytes"));
    }
    Ok(bytes)
}
