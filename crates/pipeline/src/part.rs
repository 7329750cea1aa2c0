//! Embedded rows in parts of fixed extent, kept on disk until the run has ended, so that a stopped run resumes.
//!
//! A part covers [`PART_ROWS`] source rows, counted from the start of the source: its extent depends on nothing but the
//! source. Under `<store>/.driftline/<run id>/` a run keeps `run.json` (its calendar, for good), `run.lock`, and for each
//! part of a stage `<stage>.<number>.json` (what was skipped) and then `<stage>.<number>.parquet` (the rows).

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use driftline_core::{
    Error, ErrorKind, Label, Result, Row, RowSchema, Rows, RowsBuilder, SkippedImage, SourceRow,
};
use driftline_properties::COUNT;
use driftline_rows::{RowsReader, create_folder, write, write_atomic};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Embedded, Progress};

/// Source rows in a part: 4.5 MB of embeddings at 128-d.
pub const PART_ROWS: u64 = 8192;

/// The embedded rows of one stretch of a source.
#[derive(Debug)]
pub struct Part {
    /// Usable rows, in the order of the source.
    pub rows: Rows,
    /// Rows that could not be used.
    pub skipped: Vec<SkippedImage>,
    /// Source rows covered.
    pub source_rows: u64,
}

/// What a run keeps on disk beside the store.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    now: Timestamp,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct RunRecord {
    run_id: String,
    now: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct PartRecord {
    source_rows: u64,
    skipped: Vec<SkippedImage>,
}

impl RunFolder {
    /// Opens the folder of a run; waits while another process does the same run. The first opening fixes the calendar:
    /// later ones keep its `now`.
    pub fn open(
        store: &Path,
        run_id: &str,
        now: Timestamp,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let path = store.join(".driftline").join(run_id);
        create_folder(&path)?;
        let lock_path = path.join("run.lock");
        let lock_failed = |e| Error::io("lock the run", &lock_path, e);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(lock_failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                progress.note(&format!("waiting: another process does run {run_id}"));
                lock.lock().map_err(lock_failed)?;
            }
            Err(TryLockError::Error(e)) => return Err(lock_failed(e)),
        }
        let record_path = path.join("run.json");
        let record: Option<RunRecord> = match std::fs::read(&record_path) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).map_err(|cause| {
                Error::new(
                    ErrorKind::InvalidData,
                    "open run",
                    "the record of the run is damaged",
                )
                .with("file", record_path.display())
                .because(cause)
                .remedy("remove it, and pass the calendar of the run with `run.now`")
            })?),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => return Err(Error::io("open run", &record_path, e)),
        };
        let now = match record {
            Some(record) => record.now,
            None => {
                let record = RunRecord {
                    run_id: run_id.to_owned(),
                    now,
                };
                write_atomic(&record_path, &to_json(&record)?)?;
                now
            }
        };
        Ok(Self {
            path,
            now,
            _lock: lock,
        })
    }

    /// The time that the windows of the run are dated back from.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Part `index` of `stage` if it was completed by an earlier, stopped run. A damaged one counts as not there.
    pub fn read(&self, stage: &str, index: u64) -> Option<Part> {
        let rows_path = self.file(stage, index, "parquet");
        let record: PartRecord =
            serde_json::from_slice(&std::fs::read(self.file(stage, index, "json")).ok()?).ok()?;
        let reader = RowsReader::open(&rows_path).ok()?;
        let schema = reader.schema().clone();
        let mut batches = Vec::new();
        for rows in reader {
            batches.push(rows.ok()?.batch().clone());
        }
        let batch = arrow_select::concat::concat_batches(&schema.arrow(), &batches).ok()?;
        Some(Part {
            rows: Rows::new(batch).ok()?,
            skipped: record.skipped,
            source_rows: record.source_rows,
        })
    }

    /// Keeps part `index` of `stage`.
    pub fn write(&self, stage: &str, index: u64, part: &Part) -> Result<()> {
        let record = PartRecord {
            source_rows: part.source_rows,
            skipped: part.skipped.clone(),
        };
        write_atomic(&self.file(stage, index, "json"), &to_json(&record)?)?;
        write(&self.file(stage, index, "parquet"), part.rows.batch())
    }

    /// Removes all parts: the run has ended.
    pub fn clear(self) -> Result<()> {
        let failed = |e| Error::io("clear the run", &self.path, e);
        for entry in std::fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name != "run.json" && name != "run.lock" {
                std::fs::remove_file(entry.path()).map_err(failed)?;
            }
        }
        Ok(())
    }

    fn file(&self, stage: &str, index: u64, extension: &str) -> PathBuf {
        self.path.join(format!("{stage}.{index:05}.{extension}"))
    }
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec_pretty(value).map_err(|cause| {
        Error::new(
            ErrorKind::Internal,
            "write run",
            "the record cannot be written as JSON",
        )
        .because(cause)
    })
}

/// Names and times that rows of one stage share.
#[derive(Debug, Clone)]
pub struct RowNames {
    /// Embedding length, classes and [`PROPERTIES`](driftline_properties::PROPERTIES).
    pub schema: RowSchema,
    /// Run id; `event_id` is `<run id>-<window>-<row, 8 digits>`.
    pub run_id: String,
    /// Name of the window, or `baseline`.
    pub window: String,
    /// Time of every row, in milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp_ms: i64,
}

impl RowNames {
    /// The unique name of row or event `number`.
    pub fn event_id(&self, number: u64) -> String {
        format!("{}-{}-{number:08}", self.run_id, self.window)
    }
}

/// Collects embedded batches of any size into parts.
pub struct PartBuilder {
    names: RowNames,
    builder: RowsBuilder,
    skipped: Vec<SkippedImage>,
    next_row: u64,
}

impl PartBuilder {
    /// Starts at source row `next_row`, a multiple of [`PART_ROWS`].
    pub fn new(names: RowNames, next_row: u64) -> Self {
        Self {
            builder: RowsBuilder::new(names.schema.clone()),
            names,
            skipped: Vec::new(),
            next_row,
        }
    }

    /// Adds a batch; hands every part that is complete with its number to `complete`.
    pub fn add(
        &mut self,
        batch: &Embedded,
        mut complete: impl FnMut(u64, Part) -> Result<()>,
    ) -> Result<()> {
        let end = self.next_row + batch.source_rows();
        let mut usable = batch.rows.iter().enumerate().peekable();
        let mut skipped = batch.skipped.iter().peekable();
        while self.next_row < end {
            let boundary = (self.next_row / PART_ROWS + 1) * PART_ROWS;
            while let Some((i, row)) = usable.next_if(|(_, row)| row.row < boundary) {
                self.push(row, batch, i)?;
            }
            while let Some(bad) = skipped.next_if(|bad| bad.row < boundary) {
                self.skipped.push(bad.clone());
            }
            if end < boundary {
                self.next_row = end;
            } else {
                let part = self.take(PART_ROWS)?;
                complete(boundary / PART_ROWS - 1, part)?;
                self.next_row = boundary;
            }
        }
        Ok(())
    }

    /// The last, shorter part with its number, if there is one.
    pub fn finish(mut self) -> Result<Option<(u64, Part)>> {
        let source_rows = self.next_row % PART_ROWS;
        if source_rows == 0 {
            return Ok(None);
        }
        let part = self.take(source_rows)?;
        Ok(Some((self.next_row / PART_ROWS, part)))
    }

    fn push(&mut self, row: &SourceRow, batch: &Embedded, i: usize) -> Result<()> {
        let (dim, classes) = (self.names.schema.dim, self.names.schema.classes.len());
        let target = match &row.label {
            None => None,
            Some(Label::Name(name)) => Some(name.as_str()),
            Some(Label::Index(index)) => self
                .names
                .schema
                .classes
                .get(*index as usize)
                .map(String::as_str),
        };
        self.builder.push(&Row {
            event_id: &self.names.event_id(row.row),
            timestamp_ms: self.names.timestamp_ms,
            embedding: &batch.inference.embeddings[i * dim..][..dim],
            scores: &batch.inference.scores[i * classes..][..classes],
            target,
            image_url: &row.url,
            image_number: row.row as i64,
            window: &self.names.window,
            properties: &batch.properties[i * COUNT..][..COUNT],
        })
    }

    fn take(&mut self, source_rows: u64) -> Result<Part> {
        Ok(Part {
            rows: Rows::new(self.builder.finish()?)?,
            skipped: std::mem::take(&mut self.skipped),
            source_rows,
        })
    }
}

#[cfg(test)]
mod tests {
    use driftline_core::Inference;

    use super::*;

    fn names() -> RowNames {
        RowNames {
            schema: RowSchema::new(1, vec!["cat".to_owned()])
                .unwrap()
                .with_properties(driftline_properties::names()),
            run_id: "r".to_owned(),
            window: "w".to_owned(),
            timestamp_ms: 5,
        }
    }

    /// Rows `first..first + n`, of which every tenth is skipped.
    fn batch(first: u64, n: u64) -> Embedded {
        let (bad, good): (Vec<u64>, Vec<u64>) = (first..first + n).partition(|row| row % 10 == 3);
        Embedded {
            inference: Inference {
                embeddings: good.iter().map(|row| *row as f32).collect(),
                scores: vec![1.0; good.len()],
            },
            properties: vec![0.5; good.len() * COUNT],
            rows: good
                .into_iter()
                .map(|row| SourceRow {
                    row,
                    label: Some(Label::Index(0)),
                    url: String::new(),
                })
                .collect(),
            skipped: bad
                .into_iter()
                .map(|row| SkippedImage {
                    row,
                    url: String::new(),
                    reason: "bad".to_owned(),
                })
                .collect(),
        }
    }

    fn parts(total: u64, batch_size: u64) -> Vec<(u64, Part)> {
        let mut builder = PartBuilder::new(names(), 0);
        let mut parts = Vec::new();
        let mut row = 0;
        while row < total {
            let n = batch_size.min(total - row);
            builder
                .add(&batch(row, n), |index, part| {
                    parts.push((index, part));
                    Ok(())
                })
                .unwrap();
            row += n;
        }
        parts.extend(builder.finish().unwrap());
        parts
    }

    #[test]
    fn parts_do_not_depend_on_batch_size() {
        let total = 2 * PART_ROWS + 100;
        let reference = parts(total, 256);
        assert_eq!(reference.len(), 3);
        assert_eq!(reference[2].1.source_rows, 100);
        for batch_size in [7, 10_000, total] {
            let other = parts(total, batch_size);
            assert_eq!(other.len(), reference.len());
            for ((i, a), (j, b)) in other.iter().zip(&reference) {
                assert_eq!(
                    (i, &a.skipped, a.source_rows),
                    (j, &b.skipped, b.source_rows)
                );
                assert_eq!(a.rows.batch(), b.rows.batch());
            }
        }
    }

    #[test]
    fn a_part_survives_on_disk_and_a_damaged_one_counts_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let folder = RunFolder::open(dir.path(), "r", now, &()).unwrap();
        let (_, part) = parts(50, 50).remove(0);
        folder.write("w", 0, &part).unwrap();
        let back = folder.read("w", 0).unwrap();
        assert_eq!(back.rows.batch(), part.rows.batch());
        assert_eq!(back.skipped, part.skipped);
        assert!(folder.read("w", 1).is_none());
        let file = folder.file("w", 0, "parquet");
        let bytes = std::fs::read(&file).unwrap();
        std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
        assert!(folder.read("w", 0).is_none());
        folder.clear().unwrap();
        let mut left: Vec<_> = std::fs::read_dir(dir.path().join(".driftline/r"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["run.json", "run.lock"]);
    }

    #[test]
    fn the_first_opening_fixes_the_calendar() {
        let dir = tempfile::tempdir().unwrap();
        let first = Timestamp::from_second(1_000).unwrap();
        let later = Timestamp::from_second(2_000).unwrap();
        drop(RunFolder::open(dir.path(), "r", first, &()).unwrap());
        let again = RunFolder::open(dir.path(), "r", later, &()).unwrap();
        assert_eq!(again.now(), first);
    }
}
