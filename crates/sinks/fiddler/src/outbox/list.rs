//! What waits, as people are shown it.

use driftline_core::Result;
use jiff::Timestamp;

use super::state::Outbox;
use crate::batch::Kind;

/// What waits: a batch, or a segment that is in none.
#[derive(Debug)]
pub(crate) struct Queued {
    /// The first of its segments.
    pub(crate) seq: i64,
    pub(crate) kind: Kind,
    pub(crate) rows: u64,
    pub(crate) batch: Option<QueuedBatch>,
}

/// How the delivery of a batch goes.
#[derive(Debug)]
pub(crate) struct QueuedBatch {
    pub(crate) id: i64,
    pub(crate) tries: u32,
    pub(crate) next_try: Option<Timestamp>,
    /// Why the last attempt failed.
    pub(crate) error: Option<String>,
}

impl Outbox {
    /// What waits, in the order of acceptance: batches, each once, and segments that are in none.
    pub(crate) fn list(&self) -> Result<Vec<Queued>> {
        let sql = "SELECT MIN(s.seq), s.kind, SUM(s.rows), b.id, b.tries, b.next_try, b.error
            FROM segments s LEFT JOIN batches b ON b.id = s.batch
            GROUP BY COALESCE(-s.batch, s.seq)
            ORDER BY MIN(COALESCE(s.place, s.seq)), MIN(s.seq)";
        let read = |row: &rusqlite::Row<'_>| {
            let batch = match row.get(3)? {
                None => None,
                Some(id) => Some(QueuedBatch {
                    id,
                    tries: row.get(4)?,
                    next_try: row
                        .get::<_, Option<i64>>(5)?
                        .and_then(|next| Timestamp::from_millisecond(next).ok()),
                    error: row.get(6)?,
                }),
            };
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, batch))
        };
        let queued = |(seq, kind, rows, batch)| {
            Ok(Queued {
                seq,
                kind: Kind::of(kind)?,
                rows,
                batch,
            })
        };
        let found = self.db.all(sql, [], read)?;
        found.into_iter().map(queued).collect()
    }

    /// Makes a batch due now.
    pub(crate) fn make_due(&mut self, batch: i64) -> Result<()> {
        let sql = "UPDATE batches SET next_try = NULL WHERE id = ?1";
        self.db.execute(sql, [batch])
    }
}
