//! A Parquet file -> checked rows.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use arrow_array::cast::AsArray;
use arrow_array::{Array, StringArray};
use arrow_schema::ArrowError;
use driftline_core::rows::EVENT_ID;
use driftline_core::{Error, ErrorKind, Result, RowSchema, Rows};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder,
};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};

use crate::checksum::DataChecksum;
use crate::rows::conform;
use crate::writer::note_key;

const BATCH_ROWS: usize = 4_096;
const BATCH_BYTES: usize = 4 << 20;

/// What the end of a file says about the whole; the rows are not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// Embedding length and classes.
    pub schema: RowSchema,
    /// Number of rows.
    pub rows: u64,
    /// The least and the greatest `event_id` in byte order, or bounds beyond them; `None` where the file does not say.
    pub event_ids: Option<(Vec<u8>, Vec<u8>)>,
    /// What [`write_named`](crate::write_named) gave to its `name`, computed anew; `None` for files of other writers.
    pub digest: Option<String>,
}

impl Footer {
    /// Reads the footer of `path`.
    ///
    /// # Errors
    /// `InvalidData` naming the file: not Parquet, damaged, or not rows. Otherwise the failure of the file system.
    pub fn read(path: &Path) -> Result<Self> {
        let opened = Opened::new(path)?;
        Ok(Self {
            event_ids: event_id_range(opened.parquet()),
            rows: opened.num_rows()?,
            digest: opened.digest()?,
            schema: opened.schema,
        })
    }

    /// Whether the file may have a row with this `event_id`.
    pub fn may_contain(&self, event_id: &str) -> bool {
        let id = event_id.as_bytes();
        match &self.event_ids {
            Some((least, greatest)) => *least.as_slice() <= *id && *id <= *greatest.as_slice(),
            None => self.rows > 0,
        }
    }
}

/// The rows of a file, batch by batch; memory is set by the batch, not by the file.
///
/// # Behavior
/// - Opening checks the whole file against the checksum it carries, if it carries one.
/// - The columns are those of [`RowSchema::arrow`], in its order; other columns are passed over.
/// - Every number is finite; a row with NaN or infinity is an error that names it.
/// - After an error there are no more rows.
#[derive(Debug)]
pub struct RowsReader {
    path: PathBuf,
    schema: RowSchema,
    num_rows: u64,
    next_row: u64,
    notes: Vec<KeyValue>,
    batches: Option<ParquetRecordBatchReader>,
}

impl RowsReader {
    /// Opens `path`.
    ///
    /// # Errors
    /// `InvalidData` naming the file, and the column where there is one: not Parquet, damaged, or not rows. Otherwise
    /// the failure of the file system.
    pub fn open(path: &Path) -> Result<Self> {
        let opened = Opened::new(path)?;
        opened.check_data()?;
        let schema = opened.schema.clone();
        let columns = schema.arrow();
        let names = columns.fields().iter().map(|field| field.name().as_str());
        Ok(Self {
            path: path.to_owned(),
            num_rows: opened.num_rows()?,
            notes: opened.notes(),
            batches: Some(opened.batches(names)?),
            schema,
            next_row: 0,
        })
    }

    /// Embedding length and classes.
    pub fn schema(&self) -> &RowSchema {
        &self.schema
    }

    /// Number of rows in the whole file.
    pub fn num_rows(&self) -> u64 {
        self.num_rows
    }

    /// What the writer noted under `name`, if it did.
    pub fn note(&self, name: &str) -> Option<&str> {
        let key = note_key(name);
        let pair = self.notes.iter().find(|pair| pair.key == key)?;
        pair.value.as_deref()
    }
}

impl Iterator for RowsReader {
    type Item = Result<Rows>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = next_batch(&self.path, self.batches.as_mut()?)?;
        let rows = batch.and_then(|batch| {
            conform(batch, self.next_row).map_err(|e| e.with("file", self.path.display()))
        });
        match &rows {
            Ok(rows) => self.next_row += rows.len() as u64,
            Err(_) => self.batches = None,
        }
        Some(rows)
    }
}

/// The `event_id`s of a file, batch by batch; no other column is decoded.
#[derive(Debug)]
pub struct EventIds {
    path: PathBuf,
    batches: Option<ParquetRecordBatchReader>,
}

impl EventIds {
    /// Opens `path` and checks the whole file, like [`RowsReader::open`] and with its errors, so that an id never vouches
    /// for a row that is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let opened = Opened::new(path)?;
        opened.check_data()?;
        Self::of(path, opened)
    }

    /// Opens `path` without the check, which leaves most of the file unread. An id that is found may belong to a damaged
    /// row.
    pub fn peek(path: &Path) -> Result<Self> {
        Self::of(path, Opened::new(path)?)
    }

    fn of(path: &Path, opened: Opened<'_>) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            batches: Some(opened.batches([EVENT_ID])?),
        })
    }
}

impl Iterator for EventIds {
    type Item = Result<StringArray>;

    fn next(&mut self) -> Option<Self::Item> {
        let ids = next_batch(&self.path, self.batches.as_mut()?)?.and_then(|batch| {
            match batch.columns() {
                [ids] if ids.null_count() == 0 => Ok(ids.as_string().clone()),
                _ => Err(damaged(&self.path, "column `event_id` has nulls")),
            }
        });
        if ids.is_err() {
            self.batches = None;
        }
        Some(ids)
    }
}

/// The filters of a file's `event_id`s: Bloom filters of Parquet, one for each row group.
#[derive(Debug)]
pub struct IdFilter {
    groups: Vec<Sbbf>,
}

impl IdFilter {
    /// Reads the filters of `path`; `None` if the file has not one for every row group.
    ///
    /// # Errors
    /// `InvalidData` naming the file: not Parquet, damaged, not rows, or another file than the one whose
    /// [`Footer::digest`] is `digest`. Otherwise the failure of the file system.
    pub fn read(path: &Path, digest: Option<&str>) -> Result<Option<Self>> {
        let opened = Opened::new(path)?;
        if opened.digest()?.as_deref() != digest {
            return Err(damaged(path, "its footer is not what was written"));
        }
        let Some(at) = id_column(opened.parquet()) else {
            return Ok(None);
        };
        let length = opened.file.metadata().map_err(|e| unreadable(path, e))?;
        let length = length.len();
        let mut groups = Vec::new();
        for group in opened.parquet().row_groups() {
            let Some(column) = group.columns().get(at) else {
                return Ok(None);
            };
            let claimed = column.bloom_filter_length().unwrap_or_default();
            if u64::try_from(claimed).map_or(true, |claimed| claimed > length) {
                return Err(damaged(
                    path,
                    format!("it claims a filter of {claimed} bytes"),
                ));
            }
            let filter = guard(path, || Sbbf::read_from_column_chunk(column, &opened.file))?
                .map_err(|e| parquet_failed(path, e))?;
            match filter {
                Some(filter) if filter.num_blocks() > 0 => groups.push(filter),
                _ => return Ok(None),
            }
        }
        Ok(Some(Self { groups }))
    }

    /// Whether the file may have a row with this `event_id`. If not, it has none.
    pub fn may_contain(&self, event_id: &str) -> bool {
        self.groups
            .iter()
            .any(|group| group.check(event_id.as_bytes()))
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.groups.iter().map(|g| g.num_blocks() * 32).sum()
    }
}

/// A file whose footer was read and holds a row schema.
struct Opened<'a> {
    path: &'a Path,
    file: File,
    metadata: ArrowReaderMetadata,
    schema: RowSchema,
}

impl<'a> Opened<'a> {
    fn new(path: &'a Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| unreadable(path, e))?;
        let metadata = guard(path, || {
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        })?
        .map_err(|e| parquet_failed(path, e))?;
        // Whatever is wrong with the columns of a file, it is the data and not a configuration.
        let schema = RowSchema::from_arrow(metadata.schema()).map_err(|e| {
            Error::new(ErrorKind::InvalidData, e.operation(), e.message())
                .with("file", path.display())
                .remedy("rows are made by `driftline embed` and by the stores of `driftline run`")
        })?;
        Ok(Self {
            path,
            file,
            metadata,
            schema,
        })
    }

    fn parquet(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    fn notes(&self) -> Vec<KeyValue> {
        let notes = self.parquet().file_metadata().key_value_metadata();
        notes.cloned().unwrap_or_default()
    }

    fn num_rows(&self) -> Result<u64> {
        let total: i64 = self.parquet().file_metadata().num_rows();
        u64::try_from(total).map_err(|_| damaged(self.path, format!("it claims {total} rows")))
    }

    fn checksum(&self) -> Result<Option<DataChecksum>> {
        DataChecksum::of(self.parquet()).map_err(|reason| damaged(self.path, reason))
    }

    /// Digest of what follows the data, if the file has a checksum.
    fn digest(&self) -> Result<Option<String>> {
        self.checksum()?
            .map(|checksum| checksum.tail_digest(&self.file))
            .transpose()
            .map_err(|e| unreadable(self.path, e))
    }

    fn check_data(&self) -> Result<()> {
        let Some(checksum) = self.checksum()? else {
            return Ok(());
        };
        match checksum.matches(&self.file) {
            Ok(true) => Ok(()),
            Ok(false) => Err(damaged(self.path, "its data is not what was written")),
            Err(e) => Err(unreadable(self.path, e)),
        }
    }

    fn batches<'n>(
        self,
        columns: impl IntoIterator<Item = &'n str>,
    ) -> Result<ParquetRecordBatchReader> {
        let row_bytes = 4 * (self.schema.dim + self.schema.classes.len());
        let rows = (BATCH_BYTES / row_bytes).clamp(1, BATCH_ROWS);
        let path = self.path;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file, self.metadata);
        let roots: Vec<usize> = columns
            .into_iter()
            .filter_map(|name| builder.schema().index_of(name).ok())
            .collect();
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        guard(path, || {
            builder.with_projection(mask).with_batch_size(rows).build()
        })?
        .map_err(|e| parquet_failed(path, e))
    }
}

pub(crate) fn next_batch(
    path: &Path,
    batches: &mut ParquetRecordBatchReader,
) -> Option<Result<arrow_array::RecordBatch>> {
    match guard(path, || batches.next()) {
        Ok(Some(Ok(batch))) => Some(Ok(batch)),
        Ok(Some(Err(ArrowError::ExternalError(cause)))) => match cause.downcast::<ParquetError>() {
            Ok(cause) => Some(Err(parquet_failed(path, *cause))),
            Err(cause) => Some(Err(damaged(path, cause))),
        },
        Ok(Some(Err(cause))) => Some(Err(damaged(path, cause))),
        Ok(None) => None,
        Err(error) => Some(Err(error)),
    }
}

fn id_column(metadata: &ParquetMetaData) -> Option<usize> {
    let columns = metadata.file_metadata().schema_descr().columns();
    columns
        .iter()
        .position(|column| column.path().parts() == [EVENT_ID])
}

fn event_id_range(metadata: &ParquetMetaData) -> Option<(Vec<u8>, Vec<u8>)> {
    let at = id_column(metadata)?;
    let mut range: Option<(&[u8], &[u8])> = None;
    for group in metadata.row_groups() {
        let statistics = group.columns().get(at)?.statistics()?;
        // The deprecated fields leave the order of bytes open.
        if statistics.is_min_max_deprecated() {
            return None;
        }
        let (least, greatest) = (statistics.min_bytes_opt()?, statistics.max_bytes_opt()?);
        range = Some(match range {
            None => (least, greatest),
            Some((a, b)) => (a.min(least), b.max(greatest)),
        });
    }
    range.map(|(least, greatest)| (least.to_vec(), greatest.to_vec()))
}

/// Decoders may panic on bytes that no writer makes; such a file is damaged like any other.
pub(crate) fn guard<T>(path: &Path, decode: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(decode)).map_err(|_| damaged(path, "it cannot be decoded"))
}

pub(crate) fn parquet_failed(path: &Path, cause: ParquetError) -> Error {
    if let ParquetError::External(source) = &cause
        && let Some(io) = source.downcast_ref::<io::Error>()
        && !matches!(
            io.kind(),
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData
        )
    {
        return unreadable(path, io::Error::new(io.kind(), io.to_string()));
    }
    damaged(path, cause)
}

pub(crate) fn unreadable(path: &Path, source: io::Error) -> Error {
    Error::io("read rows", path, source)
}

pub(crate) fn damaged(
    path: &Path,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        "read rows",
        "the file is not Parquet, incomplete, or damaged",
    )
    .with("file", path.display())
    .because(cause)
    .remedy("make it again with the command that wrote it")
}
