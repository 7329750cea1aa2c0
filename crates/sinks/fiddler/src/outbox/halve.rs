//! A batch whose body is too large becomes two.

use std::path::Path;

use driftline_core::{Result, Rows};
use rusqlite::params;

use super::place::SEGMENTS;
use super::segments::{
    defect, labels_text, name_segment, new_batch, new_segment, remove_batch, remove_files,
};
use super::state::Outbox;
use crate::batch::{Batch, Segment};

impl Outbox {
    /// Makes two batches of one, which are the next. A single row or label cannot be cut.
    pub(crate) fn halve(&mut self, batch: &Batch) -> Result<bool> {
        let segments: Vec<i64> = batch.segments.iter().map(|segment| segment.seq).collect();
        match (segments.as_slice(), batch.segments.first()) {
            (
                [_],
                Some(Segment {
                    file: Some(file),
                    rows: 2..,
                    ..
                }),
            ) => {
                self.halve_segment(batch, file)?;
            }
            (
                [seq],
                Some(Segment {
                    labels: Some(_),
                    rows: 2..,
                    ..
                }),
            ) => {
                self.halve_labels(batch, *seq)?;
            }
            ([_, _, ..], _) => {
                let (first, second) = segments.split_at(segments.len() / 2);
                self.db.transaction(|transaction, fail| {
                    for half in [first, second] {
                        let id = new_batch(transaction, batch.kind).map_err(fail)?;
                        for seq in half {
                            transaction
                                .execute(
                                    "UPDATE segments SET batch = ?1 WHERE seq = ?2",
                                    [id, *seq],
                                )
                                .map_err(fail)?;
                        }
                    }
                    remove_batch(transaction, batch).map_err(fail)
                })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Cuts the labels in the only segment of a batch. Later labels of the same events must not pass the second half.
    fn halve_labels(&mut self, batch: &Batch, seq: i64) -> Result<()> {
        let labels = batch.labels()?;
        let (first, second) = labels.split_at(labels.len() / 2);
        self.db.transaction(|transaction, fail| {
            for half in [first, second] {
                let id = new_batch(transaction, batch.kind).map_err(fail)?;
                let text = labels_text(half)?;
                transaction
                    .execute(
                        "INSERT INTO segments (kind, rows, labels, batch, place)
                            SELECT ?1, ?2, ?3, ?4, COALESCE(place, seq) FROM segments WHERE seq = ?5",
                        params![batch.kind.code(), half.len() as i64, text, id, seq],
                    )
                    .map_err(fail)?;
            }
            remove_batch(transaction, batch).map_err(fail)
        })?;
        Ok(())
    }

    /// Cuts the only segment of a batch, which is in `old`.
    fn halve_segment(&mut self, batch: &Batch, old: &Path) -> Result<()> {
        let all: Vec<Rows> = batch.read().collect::<Result<_>>()?;
        let Some(first) = all.first() else {
            return Err(defect("a segment has no rows", old.display().to_string()));
        };
        let batches = all.iter().map(Rows::batch);
        let whole = arrow_select::concat::concat_batches(&first.batch().schema(), batches)
            .map_err(|cause| defect("the rows could not be joined", cause))?;
        let middle = whole.num_rows() / 2;
        let folder = self.folder.join(SEGMENTS);
        let mut written = Vec::new();
        let done = self.db.transaction(|transaction, fail| {
            let rest = whole.num_rows() - middle;
            for half in [whole.slice(0, middle), whole.slice(middle, rest)] {
                let id = new_batch(transaction, batch.kind).map_err(fail)?;
                let (path, file) = new_segment(&folder, batch.kind);
                written.push(path.clone());
                driftline_rows::write(&path, &half)?;
                transaction
                    .execute(
                        "INSERT INTO segments (kind, rows, file, batch, place)
                            SELECT ?1, ?2, ?3, ?4, COALESCE(place, seq) FROM segments WHERE batch = ?5",
                        params![
                            batch.kind.code(),
                            half.num_rows() as i64,
                            file,
                            id,
                            batch.id
                        ],
                    )
                    .map_err(fail)?;
                let seq = transaction.last_insert_rowid();
                let half = driftline_rows::check(&half)?;
                let ids = half.event_ids().iter().flatten();
                name_segment(transaction, batch.kind.code(), ids, seq).map_err(fail)?;
            }
            remove_batch(transaction, batch).map_err(fail)
        });
        done.map_err(|unfinished| self.without(&written, unfinished))?;
        remove_files(&[old.to_owned()]);
        Ok(())
    }
}
