//! Images and readings that the tests of every kind share.

pub(crate) mod apart;

use std::path::Path;

use driftline_core::{Error, ImageShape, Label, Resize, Result, SkippedImage};
use driftline_data::{DecodeOptions, open};

pub(crate) const SHAPE: ImageShape = ImageShape {
    height: 32,
    width: 32,
};

pub(crate) const OPTIONS: DecodeOptions = DecodeOptions {
    shape: SHAPE,
    resize: Resize::Stretch,
};

/// A usable row with its pixels.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub row: u64,
    pub label: Option<Label>,
    pub url: String,
    pub pixels: Vec<u8>,
}

/// Everything `location` yields from row `skip` on, in batches of `rows`.
pub(crate) fn read_from(
    location: &str,
    options: &DecodeOptions,
    skip: u64,
    rows: usize,
) -> Result<(Vec<Seen>, Vec<SkippedImage>)> {
    let mut source = open(location, options)?;
    source.skip_rows(skip)?;
    let total = source.info().rows.saturating_sub(skip);
    let (mut seen, mut skipped, mut met) = (Vec::new(), Vec::new(), 0);
    while let Some(batch) = source.next_batch(rows)? {
        let here = batch.rows.len() + batch.skipped.len();
        assert_eq!(batch.images.len(), batch.rows.len());
        met += here as u64;
        assert!(here == rows || met == total, "a batch of {here} of {rows}");
        for (row, pixels) in batch
            .rows
            .into_iter()
            .zip(batch.images.as_bytes().chunks(options.shape.bytes()))
        {
            seen.push(Seen {
                row: row.row,
                label: row.label,
                url: row.url,
                pixels: pixels.to_vec(),
            });
        }
        skipped.extend(batch.skipped);
    }
    assert_eq!(met, total);
    assert!(source.next_batch(rows)?.is_none());
    Ok((seen, skipped))
}

pub(crate) fn read(path: &Path) -> Result<(Vec<Seen>, Vec<SkippedImage>)> {
    read_from(path.to_str().unwrap(), &OPTIONS, 0, 7)
}

pub(crate) fn open_error(location: &str) -> Error {
    match open(location, &OPTIONS) {
        Ok(_) => panic!("{location} was opened"),
        Err(e) => e,
    }
}

/// The same rows whatever the batch size, and after skipping the same as reading from there on.
pub(crate) fn check_order(location: &str) {
    let (all, all_skipped) = read_from(location, &OPTIONS, 0, 256).unwrap();
    for rows in [1, 7] {
        let read = read_from(location, &OPTIONS, 0, rows).unwrap();
        assert_eq!(read, (all.clone(), all_skipped.clone()), "{rows} rows");
    }
    let total = (all.len() + all_skipped.len()) as u64;
    for skip in [1, 3, total / 2, total - 1, total, total + 5] {
        let (seen, skipped) = read_from(location, &OPTIONS, skip, 4).unwrap();
        let rest: Vec<_> = all.iter().filter(|s| s.row >= skip).cloned().collect();
        assert_eq!(seen, rest, "after {skip}");
        assert_eq!(
            skipped.len(),
            all_skipped.iter().filter(|s| s.row >= skip).count()
        );
    }
    // Skipping in the middle of what has been read.
    let mut source = open(location, &OPTIONS).unwrap();
    source.next_batch(2).unwrap();
    source.skip_rows(2).unwrap();
    if let Some(batch) = source.next_batch(1).unwrap() {
        let row = batch.rows.first().map(|row| row.row);
        assert_eq!(row.or(batch.skipped.first().map(|s| s.row)), Some(4));
    }
}

/// RGB pixels of an image, different for each `seed`.
pub(crate) fn pixels(height: usize, width: usize, seed: usize) -> Vec<u8> {
    (0..height * width * 3)
        .map(|i| ((i * 7 + seed * 31) % 251) as u8)
        .collect()
}

pub(crate) fn name(text: &str) -> Option<Label> {
    Some(Label::Name(text.to_owned()))
}
