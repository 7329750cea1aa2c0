//! Baselines on disk.
//!
//! A baseline file is a file of rows, those that the baseline keeps, whose footer holds all that was compiled. Any file of
//! rows can stand in its place: it is compiled when it is opened.

use std::path::Path;

use arrow_array::UInt32Array;
use arrow_select::take::take_record_batch;
use driftline_core::{Error, ErrorKind, Result, RowOrigin, Rows};
use driftline_rows::{RowsReader, RowsWriter};
use driftline_stats::{Baseline, BaselineOptions, Sample};

/// Footer note with what was compiled.
const COMPILED: &str = "baseline";

/// Footer note with what made the rows.
const ORIGIN: &str = "origin";

/// Rows read from a file, and what made them.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded<T> {
    /// The rows, or what was compiled from them.
    pub rows: T,
    /// What made them, where the file says.
    pub origin: Option<RowOrigin>,
}

impl<T> Loaded<T> {
    /// That `window` may be compared with this; a file that does not say what made it may.
    ///
    /// # Errors
    /// As [`RowOrigin::accept`].
    pub fn accept<U>(&self, window: &Loaded<U>) -> Result<()> {
        match (&self.origin, &window.origin) {
            (Some(mine), Some(theirs)) => mine.accept(theirs),
            _ => Ok(()),
        }
    }
}

/// Notes in a file that is being written what makes its rows.
pub fn note_origin(writer: &mut RowsWriter, origin: &RowOrigin) -> Result<()> {
    writer.note(ORIGIN, to_json(origin)?);
    Ok(())
}

/// Reads all rows of a file.
///
/// # Errors
/// `InvalidData` naming the file: not rows, damaged, or without any row.
pub fn read_rows(path: &Path) -> Result<Loaded<Sample>> {
    Ok(read(path)?.0)
}

/// The rows of a file, and the note of what was compiled from them, if it is a baseline file.
fn read(path: &Path) -> Result<(Loaded<Sample>, Option<String>)> {
    let reader = RowsReader::open(path)?;
    let origin = reader.note(ORIGIN);
    let origin = origin.map(|text| parsed(text, ORIGIN, path)).transpose()?;
    let compiled = reader.note(COMPILED).map(str::to_owned);
    let mut rows = Sample::new(reader.schema().clone());
    for batch in reader {
        rows.push(&batch?)?;
    }
    if rows.rows() == 0 {
        let message = "the file has no rows";
        return Err(Error::new(ErrorKind::InvalidData, "read rows", message)
            .with("file", path.display())
            .remedy("make it from images of which at least one is usable"));
    }
    Ok((Loaded { rows, origin }, compiled))
}

/// Opens a baseline file, or compiles a file of rows with `options`.
///
/// # Errors
/// As [`read_rows`], and those of [`Baseline::compile`].
pub fn open(path: &Path, options: BaselineOptions) -> Result<Loaded<Baseline>> {
    let (Loaded { rows, origin }, compiled) = read(path)?;
    let baseline = match compiled {
        Some(text) => Baseline::restore(rows, parsed(&text, COMPILED, path)?),
        None => Baseline::compile(&rows, options),
    };
    Ok(Loaded {
        rows: baseline.map_err(|error| error.with("file", path.display()))?,
        origin,
    })
}

/// Writes a baseline that was compiled from the file `rows` as the baseline file `out`.
///
/// # Errors
/// Those of reading and writing.
pub fn write(baseline: &Loaded<Baseline>, rows: &Path, out: &Path) -> Result<()> {
    let Loaded {
        rows: baseline,
        origin,
    } = baseline;
    let reader = RowsReader::open(rows)?;
    let schema = reader.schema().clone();
    let mut writer = RowsWriter::create(out, &schema)?;
    let (mut kept, mut start) = (baseline.kept_rows().iter().copied().peekable(), 0);
    for batch in reader {
        let batch: Rows = batch?;
        let end = start + batch.len();
        let here = std::iter::from_fn(|| kept.next_if(|row| *row < end));
        let here: UInt32Array = here.map(|row| (row - start) as u32).collect();
        let chosen = take_record_batch(batch.batch(), &here).map_err(|cause| {
            Error::new(
                ErrorKind::Internal,
                "compile the baseline",
                "rows could not be taken",
            )
            .because(cause)
        })?;
        writer.write(&chosen)?;
        start = end;
    }
    writer.note(COMPILED, to_json(&baseline.compiled())?);
    if let Some(origin) = origin {
        note_origin(&mut writer, origin)?;
    }
    writer.finish()?;
    Ok(())
}

/// What a note of the footer says.
fn parsed<T: serde::de::DeserializeOwned>(text: &str, name: &str, path: &Path) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| {
        let message = format!("the footer's note `{name}` cannot be read");
        Error::new(ErrorKind::InvalidData, "read rows", message)
            .with("file", path.display())
            .because(cause)
            .remedy("make the file again with this driftline")
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|cause| {
        let message = "the note cannot be written as JSON";
        Error::new(ErrorKind::Internal, "write rows", message).because(cause)
    })
}
