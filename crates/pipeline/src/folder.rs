//! What a run keeps on disk until it has ended, so that it resumes after a stop.
//!
//! Under `<store>/.driftline/<run id>/` are `run.json` (the moment that the run's calendar counts back from, for good), `run.lock`,
//! and for each part of a stage `<stage>.<number>.json` (what was skipped) and then `<stage>.<number>.parquet` (the rows).

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result, Rows, SkippedImage};
use driftline_rows::{RowsReader, create_folder, write, write_atomic};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Progress;
use crate::part::EmbeddedPart;

/// What a run keeps on disk beside the store.
#[derive(Debug)]
pub(crate) struct RunFolder {
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
    pub(crate) fn open(
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
                .remedy("remove it, and pass the calendar of the run with `--now`")
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

    /// The moment that the run's calendar counts back from.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Part `index` of `stage` if it was completed by an earlier, stopped run. A damaged one counts as not there.
    pub(crate) fn read(&self, stage: &str, index: u64) -> Option<EmbeddedPart> {
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
        Some(EmbeddedPart {
            rows: Rows::new(batch).ok()?,
            skipped: record.skipped,
            source_rows: record.source_rows,
        })
    }

    /// Keeps part `index` of `stage`.
    pub(crate) fn write(&self, stage: &str, index: u64, part: &EmbeddedPart) -> Result<()> {
        let record = PartRecord {
            source_rows: part.source_rows,
            skipped: part.skipped.clone(),
        };
        write_atomic(&self.file(stage, index, "json"), &to_json(&record)?)?;
        write(&self.file(stage, index, "parquet"), part.rows.batch())
    }

    /// Removes all parts: the run has ended.
    pub(crate) fn clear(self) -> Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::part::tests::parts;

    struct Silent;
    impl Progress for Silent {
        fn begin(&self, _: &str, _: u64) {}
        fn advance(&self, _: u64) {}
        fn end(&self) {}
        fn note(&self, _: &str) {}
    }

    #[test]
    fn a_part_survives_on_disk_and_a_damaged_one_counts_as_absent() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let folder = RunFolder::open(dir.path(), "r", now, &Silent).unwrap();
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
        drop(RunFolder::open(dir.path(), "r", first, &Silent).unwrap());
        let again = RunFolder::open(dir.path(), "r", later, &Silent).unwrap();
        assert_eq!(again.now(), first);
    }
}
