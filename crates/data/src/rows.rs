//! Raw rows to batches, the same way for every kind of source.

use std::fs::File;
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

/// One row as its container holds it.
pub(crate) struct RawRow {
    pub(crate) image: RawImage,
    pub(crate) label: Option<Label>,
    pub(crate) url: String,
}

/// What a kind of source has to provide; [`Rows`] does the rest.
pub(crate) trait RawRows: Send {
    /// The next row, or `None` after the last.
    fn next_row(&mut self) -> Result<Option<RawRow>>;

    /// Passes over `rows` rows, all of which exist, without reading more than it must.
    fn skip(&mut self, rows: u64) -> Result<()>;
}

/// A source made of raw rows.
pub(crate) struct Rows {
    info: SourceInfo,
    options: DecodeOptions,
    raw: Box<dyn RawRows>,
    next: u64,
}

impl Rows {
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

impl ImageSource for Rows {
    fn info(&self) -> &SourceInfo {
        &self.info
    }

    fn next_batch(&mut self, rows: usize) -> Result<Option<SourceBatch>> {
        let left = usize::try_from(self.info.rows - self.next).unwrap_or(usize::MAX);
        let rows = rows.min(left);
        if rows == 0 {
            return Ok(None);
        }
        let mut raw = Vec::new();
        for _ in 0..rows {
            raw.push(self.raw.next_row()?.ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidData,
                    "read images",
                    format!("the rows end early: {} were announced", self.info.rows),
                )
                .with("file", &self.info.location)
                .remedy("the data changed while it was read; run the same command again")
            })?);
        }
        let options = self.options;
        let decoded: Vec<_> = raw
            .into_par_iter()
            .map(|row| (decode(row.image, &options), row.label, row.url))
            .collect();
        let mut pixels = Vec::new();
        let mut usable = Vec::new();
        let mut skipped = Vec::new();
        for (row, (image, label, url)) in (self.next..).zip(decoded) {
            match image {
                Ok(image) => {
                    pixels.extend_from_slice(&image);
                    usable.push(SourceRow { row, label, url });
                }
                Err(reason) => skipped.push(SkippedImage { row, url, reason }),
            }
        }
        self.next += rows as u64;
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
