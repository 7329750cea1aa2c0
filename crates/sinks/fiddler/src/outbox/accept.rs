//! Rows and labels that are accepted.

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use driftline_core::{Ack, EventLabel, Result, Rows};
use rusqlite::params;

use super::place::SEGMENTS;
use super::segments::{defect, labels_text, new_segment, next_segment};
use super::state::Outbox;
use crate::batch::Kind;

impl Outbox {
    /// Accepts the rows that are new, in segments of at most `most` rows; when this returns, they are durable.
    pub(crate) fn accept(&mut self, kind: Kind, rows: &Rows, most: u64) -> Result<Ack> {
        if self.is_unsettled {
            // No more than one call's files are in doubt at a time.
            self.remove_leftovers()?;
            self.is_unsettled = false;
        }
        let folder = self.folder.join(SEGMENTS);
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        let mut written = Vec::new();
        let accepted = self.db.transaction(|transaction, fail| {
            let first = next_segment(transaction).map_err(fail)?;
            let mut new = Vec::new();
            {
                let sql =
                    "INSERT OR IGNORE INTO known (kind, event_id, segment) VALUES (?1, ?2, ?3)";
                let mut known = transaction.prepare_cached(sql).map_err(fail)?;
                for (row, id) in (0_u32..).zip(rows.event_ids()) {
                    let id = id.unwrap_or_default();
                    let segment = first + (new.len() / most) as i64;
                    let inserted = known.execute(params![kind.code(), id, segment]);
                    if inserted.map_err(fail)? > 0 {
                        new.push(row);
                    }
                }
            }
            for (segment, part) in (first..).zip(new.chunks(most)) {
                let (path, file) = new_segment(&folder, kind);
                written.push(path.clone());
                driftline_rows::write(&path, &taken(rows, part)?)?;
                transaction
                    .execute(
                        "INSERT INTO segments (seq, kind, rows, file) VALUES (?1, ?2, ?3, ?4)",
                        params![segment, kind.code(), part.len() as i64, file],
                    )
                    .map_err(fail)?;
            }
            Ok(new.len() as u64)
        });
        let accepted = accepted.map_err(|unfinished| self.without(&written, unfinished))?;
        Ok(Ack {
            accepted,
            duplicates: rows.len() as u64 - accepted,
        })
    }

    /// Accepts labels; when this returns, they are durable.
    pub(crate) fn accept_labels(&mut self, labels: &[EventLabel], most: u64) -> Result<()> {
        let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
        self.db.transaction(|transaction, fail| {
            for part in labels.chunks(most) {
                let text = labels_text(part)?;
                transaction
                    .execute(
                        "INSERT INTO segments (kind, rows, labels) VALUES (?1, ?2, ?3)",
                        params![Kind::Labels.code(), part.len() as i64, text],
                    )
                    .map_err(fail)?;
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn taken(rows: &Rows, which: &[u32]) -> Result<RecordBatch> {
    take_record_batch(rows.batch(), &UInt32Array::from(which.to_vec()))
        .map_err(|cause| defect("the new rows could not be taken", cause))
}
