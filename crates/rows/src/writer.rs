//! Rows -> a Parquet file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use driftline_core::rows::{EMBEDDINGS, EVENT_ID, TARGET, WINDOW};
use driftline_core::{Error, ErrorKind, Result, RowSchema};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{BloomFilterPosition, EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use sha2::{Digest, Sha256};

use crate::checksum::{DataChecksum, hex};
use crate::durable::{Staged, folder_of, resolve, sync_folder};
use crate::rows::conform;

const ROW_GROUP_ROWS: usize = 65_536;
const ROW_GROUP_BYTES: usize = 32 << 20;
/// Share of unknown ids for which a filter says that the file may hold them. Each costs reading the ids of the file; at
/// this share a filter has 4 to 8 bytes an id.
const ID_FALSE_POSITIVES: f64 = 1e-5;

/// Writes a batch of rows to `path`; equal rows give equal bytes.
///
/// # Behavior
/// - An existing file is replaced in one step.
/// - When this returns, the file survives a crash; when it fails, `path` is as it was and no other file is left.
/// - A row that [`RowsReader`](crate::RowsReader) would refuse (columns, nulls, NaN) is refused here.
pub fn write(path: &Path, batch: &RecordBatch) -> Result<()> {
    let schema = RowSchema::from_arrow(&batch.schema()).map_err(|e| at(path, e))?;
    let mut writer = RowsWriter::create(path, &schema)?;
    writer.write(batch)?;
    writer.finish()
}

/// Writes a batch of rows into `folder`, like [`write()`], under the name that `name` makes from the file's digest: 64
/// hexadecimal digits that change with any byte of the file. Returns the file's path.
pub fn write_named(
    folder: &Path,
    batch: &RecordBatch,
    name: impl FnOnce(&str) -> String,
) -> Result<PathBuf> {
    let schema = RowSchema::from_arrow(&batch.schema()).map_err(|e| at(folder, e))?;
    let mut writer = NamedWriter::create(folder, &schema)?;
    writer.write(batch)?;
    let path = writer.finish(name)?;
    sync_folder(folder).map_err(|e| Error::io("write rows", &path, e))?;
    Ok(path)
}

/// Writes rows batch by batch to one file of a store, like [`RowsWriter`]; the file is named when it is finished, and
/// holds a filter of its `event_id`s (see [`IdFilter`](crate::IdFilter)).
#[derive(Debug)]
pub struct NamedWriter {
    folder: PathBuf,
    encoder: Encoder,
}

impl NamedWriter {
    /// Starts a file in `folder`; a folder that cannot be written to is an error now, not at the end.
    pub fn create(folder: &Path, schema: &RowSchema) -> Result<Self> {
        Ok(Self {
            folder: folder.to_owned(),
            encoder: Encoder::new(folder, folder, schema, Filter::Ids)?,
        })
    }

    /// Adds rows; they must have the schema given to [`create`](Self::create) and finite numbers.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.encoder.write(batch)
    }

    /// Number of rows so far.
    pub fn rows(&self) -> u64 {
        self.encoder.rows
    }

    /// Completes the file, syncs it, and gives it the name that `name` makes from its digest, as [`write_named`] does.
    /// The name survives a crash once the folder is synced, which is left to the caller. Returns the file's path.
    pub fn finish(self, name: impl FnOnce(&str) -> String) -> Result<PathBuf> {
        let folder = self.folder;
        self.encoder.finish(|staged, digest| {
            let path = folder.join(name(digest));
            staged
                .rename(&path)
                .map_err(|e| Error::io("write rows", &path, e))?;
            Ok(path)
        })
    }
}

/// Writes rows batch by batch to one file, which appears at its name when it is finished.
///
/// At most one row group (65,536 rows or 32 MiB) is held in memory. Dropped without [`finish`](Self::finish), nothing
/// stays behind.
#[derive(Debug)]
pub struct RowsWriter {
    target: PathBuf,
    encoder: Encoder,
}

impl RowsWriter {
    /// Starts a file that will appear at `path`; a place that cannot be written to is an error now, not at the end.
    pub fn create(path: &Path, schema: &RowSchema) -> Result<Self> {
        let target = resolve(path)?;
        let encoder = Encoder::new(path, folder_of(&target), schema, Filter::None)?;
        Ok(Self { target, encoder })
    }

    /// Adds rows; they must have the schema given to [`create`](Self::create) and finite numbers.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.encoder.write(batch)
    }

    /// Writes `text` under `name` into the file's footer; see [`RowsReader::note`](crate::RowsReader::note).
    pub fn note(&mut self, name: &str, text: String) {
        let pair = KeyValue::new(note_key(name), text);
        self.encoder.parquet.append_key_value_metadata(pair);
    }

    /// Completes the file, syncs it, and gives it its name.
    pub fn finish(self) -> Result<()> {
        let target = self.target;
        self.encoder.finish(|staged, _| {
            staged
                .commit(&target)
                .map_err(|e| Error::io("write rows", &target, e))
        })
    }
}

/// Notes live beside the keys of Arrow and of the checksum.
pub(crate) fn note_key(name: &str) -> String {
    format!("driftline.note.{name}")
}

/// The shared inside of all writers. `path` is what errors name.
#[derive(Debug)]
struct Encoder {
    path: PathBuf,
    schema: RowSchema,
    rows: u64,
    parquet: ArrowWriter<Tap>,
}

impl Encoder {
    fn new(path: &Path, folder: &Path, schema: &RowSchema, filter: Filter) -> Result<Self> {
        let staged = Staged::create(folder).map_err(|e| Error::io("write rows", path, e))?;
        let properties = properties(filter).map_err(|e| defect(path, e))?;
        let parquet = ArrowWriter::try_new(Tap::new(staged), schema.arrow(), Some(properties))
            .map_err(|e| defect(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            schema: schema.clone(),
            rows: 0,
            parquet,
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        let rows = conform(batch.clone(), self.rows).map_err(|e| at(&self.path, e))?;
        if *rows.schema() != self.schema {
            return Err(at(&self.path, other_schema(&self.schema, rows.schema())));
        }
        self.rows += rows.len() as u64;
        let written = self.parquet.write(rows.batch());
        written.map_err(|e| self.failed(e))
    }

    /// Completes the file and hands it, with its digest, to `place`.
    fn finish<T>(mut self, place: impl FnOnce(Staged, &str) -> Result<T>) -> Result<T> {
        let flushed = self.parquet.flush();
        flushed.map_err(|e| self.failed(e))?;
        let synced = self.parquet.sync();
        synced.map_err(|e| self.failed(e.into()))?;

        let tap = self.parquet.inner_mut();
        let data = DataChecksum {
            length: tap.length,
            sha256: hex(std::mem::take(&mut tap.sha)),
        };
        self.parquet.append_key_value_metadata(data.to_key_value());
        let finished = self.parquet.finish().map(drop);
        finished.map_err(|e| self.failed(e))?;
        let synced = self.parquet.sync();
        synced.map_err(|e| self.failed(e.into()))?;

        let tap = self.parquet.inner_mut();
        let digest = hex(std::mem::take(&mut tap.sha));
        match tap.staged.take() {
            Some(staged) => place(staged, &digest),
            None => Err(defect(&self.path, "the file was finished twice")),
        }
    }

    // Parquet wraps causes in text, so the tap keeps the first failure of the file itself.
    fn failed(&mut self, cause: ParquetError) -> Error {
        match self.parquet.inner_mut().failure.take() {
            Some(failure) => Error::io("write rows", &self.path, failure),
            None => defect(&self.path, cause),
        }
    }
}

/// Whether a file has a filter of its ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    None,
    Ids,
}

fn properties(filter: Filter) -> Result<WriterProperties, ParquetError> {
    let column = |name: &str| ColumnPath::new(vec![name.to_owned()]);
    let embeddings = [EMBEDDINGS, "list", "element"].map(str::to_owned);
    let mut properties = WriterProperties::builder();
    if filter == Filter::Ids {
        properties = properties
            .set_column_bloom_filter_fpp(column(EVENT_ID), ID_FALSE_POSITIVES)
            // Behind the data, where the digest of the file's end vouches for it.
            .set_bloom_filter_position(BloomFilterPosition::End);
    }
    Ok(properties
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
        .set_dictionary_enabled(false)
        .set_column_dictionary_enabled(column(TARGET), true)
        .set_column_dictionary_enabled(column(WINDOW), true)
        // A cut maximum is not a value of the column.
        .set_statistics_truncate_length(None)
        .set_column_index_truncate_length(None)
        .set_column_statistics_enabled(
            ColumnPath::new(embeddings.to_vec()),
            EnabledStatistics::None,
        )
        .build())
}

fn at(path: &Path, error: Error) -> Error {
    error.with("file", path.display())
}

fn defect(path: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(
        ErrorKind::Internal,
        "write rows",
        "the rows could not be encoded",
    )
    .with("file", path.display())
    .because(cause)
}

fn other_schema(expected: &RowSchema, found: &RowSchema) -> Error {
    let message = if expected.dim == found.dim {
        "these rows have other classes than the rows before".to_owned()
    } else {
        format!(
            "column `{EMBEDDINGS}`: these rows have {} values, the rows before have {}",
            found.dim, expected.dim
        )
    };
    Error::new(ErrorKind::InvalidData, "write rows", message)
        .remedy("rows in one file come from one model")
}

/// Passes bytes on to the staged file, hashing and counting them, and remembers the first failure.
#[derive(Debug)]
struct Tap {
    staged: Option<Staged>,
    sha: Sha256,
    length: u64,
    failure: Option<io::Error>,
}

impl Tap {
    fn new(staged: Staged) -> Self {
        Self {
            staged: Some(staged),
            sha: Sha256::new(),
            length: 0,
            failure: None,
        }
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(staged) = &mut self.staged else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        match staged.write(bytes) {
            Ok(n) => {
                self.sha.update(&bytes[..n]);
                self.length += n as u64;
                Ok(n)
            }
            Err(e) => {
                let kind = e.kind();
                if kind != io::ErrorKind::Interrupted {
                    self.failure.get_or_insert(e);
                }
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.staged.as_mut().map_or(Ok(()), Write::flush)
    }
}
