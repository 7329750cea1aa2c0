//! How the delivery of a batch goes, noted as it goes.

use std::path::PathBuf;
use std::time::Duration;

use driftline_core::{Error, Result};
use jiff::Timestamp;
use rusqlite::params;

use super::place::SEGMENTS;
use super::segments::{defect, remove_batch, remove_files};
use super::state::{Outbox, delivered_fact};
use crate::batch::{Batch, Kind, Segment};
use crate::dead_letter;

/// How long a batch that has failed is left alone: this, doubled with each failure, up to the bound.
const FIRST_DELAY: Duration = Duration::from_secs(60);
const LONGEST_DELAY: Duration = Duration::from_secs(3_600);

impl Outbox {
    /// A batch that was begun.
    pub(crate) fn batch(&self, id: i64) -> Result<Batch> {
        let sql = "SELECT kind, upload, job FROM batches WHERE id = ?1";
        let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let Some((kind, upload, job)) = self.db.first(sql, [id], read)? else {
            return Err(defect("a batch has gone", id.to_string()));
        };
        let sql = "SELECT seq, rows, file, labels FROM segments WHERE batch = ?1 ORDER BY seq";
        let folder = self.folder.join(SEGMENTS);
        let segments = self.db.all(sql, [id], |row| {
            let file: Option<String> = row.get(2)?;
            Ok(Segment {
                seq: row.get(0)?,
                rows: row.get(1)?,
                file: file.map(|file| folder.join(file)),
                labels: row.get(3)?,
            })
        })?;
        Ok(Batch {
            id,
            kind: Kind::of(kind)?,
            rows: segments.iter().map(|segment| segment.rows).sum(),
            upload,
            job,
            segments,
        })
    }

    /// Notes what the server calls the uploaded body, or that it has none.
    pub(crate) fn set_upload(&mut self, batch: &mut Batch, upload: Option<String>) -> Result<()> {
        let sql = "UPDATE batches SET upload = ?2 WHERE id = ?1";
        self.db.execute(sql, params![batch.id, upload])?;
        batch.upload = upload;
        Ok(())
    }

    /// Notes the job that takes the batch in, or that there is none.
    pub(crate) fn set_job(&mut self, batch: &mut Batch, job: Option<String>) -> Result<()> {
        let sql = "UPDATE batches SET job = ?2 WHERE id = ?1";
        self.db.execute(sql, params![batch.id, job])?;
        batch.job = job;
        Ok(())
    }

    /// Notes that the batch has failed, and when it is due again. What failed for all batches alike does not delay this one.
    pub(crate) fn failed(
        &mut self,
        batch: &Batch,
        error: &Error,
        delay: bool,
        asked: Option<Duration>,
    ) -> Result<()> {
        let sql = "SELECT tries FROM batches WHERE id = ?1";
        let tries: Option<u32> = self.db.first(sql, [batch.id], |row| row.get(0))?;
        let tries = tries.unwrap_or(0).saturating_add(1);
        let doubled = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(tries - 1));
        let wait = delay.then(|| doubled.min(LONGEST_DELAY));
        let wait = wait.max(asked);
        // A server may ask for a time beyond all calendars.
        let next_try = wait.and_then(|wait| Timestamp::now().checked_add(wait).ok());
        let sql = "UPDATE batches SET tries = ?2, next_try = ?3, error = ?4 WHERE id = ?1";
        let next_try = next_try.map(Timestamp::as_millisecond);
        self.db
            .execute(sql, params![batch.id, tries, next_try, error.to_string()])
    }

    /// The server has the batch: its rows are removed, their ids stay.
    pub(crate) fn delivered(&mut self, batch: &Batch) -> Result<()> {
        self.db.note(&delivered_fact(batch.kind), "yes")?;
        self.forget(batch, false)
    }

    /// The server does not take the batch: its rows go to the dead letters, and their ids are forgotten, so that the rows
    /// can be published again. Returns the file that says why.
    pub(crate) fn bury(&mut self, batch: &Batch, reason: &str) -> Result<PathBuf> {
        let monitor = self.monitor()?;
        let note = dead_letter::write(&self.folder, batch, monitor.as_ref(), reason)?;
        self.forget(batch, true)?;
        Ok(note)
    }

    fn forget(&mut self, batch: &Batch, ids_too: bool) -> Result<()> {
        self.db.transaction(|transaction, fail| {
            if ids_too {
                let mut known = transaction
                    .prepare_cached("DELETE FROM known WHERE kind = ?1 AND event_id = ?2")
                    .map_err(fail)?;
                for rows in batch.read() {
                    for id in rows?.event_ids().iter().flatten() {
                        known
                            .execute(params![batch.kind.code(), id])
                            .map_err(fail)?;
                    }
                }
            }
            remove_batch(transaction, batch).map_err(fail)
        })?;
        let files = batch.segments.iter().filter_map(|s| s.file.clone());
        remove_files(&files.collect::<Vec<_>>());
        Ok(())
    }
}
