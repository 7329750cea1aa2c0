//! Which batch is next, and what waits for what.
//!
//! | what | waits for |
//! | --- | --- |
//! | baseline | nothing; where it cannot come in pieces, for a part that is damaged |
//! | events | the baseline, as long as the server has no model: it is made from the baseline |
//! | labels | the model; events and earlier labels with the same ids |
//!
//! What waits stays in its place, and whatever does not depend on it passes it.

use std::collections::HashSet;

use driftline_core::Result;

use super::segments::new_batch;
use super::state::Outbox;
use crate::batch::{Batch, Kind};
use crate::note::{self, DAMAGED};

/// What can be sent now.
pub(crate) struct Now<'a> {
    /// Also what later rows may still join, and at last what has failed a short while ago.
    pub(crate) everything: bool,
    /// Rows that a batch of a kind has at most; a single segment may have more.
    pub(crate) most: &'a dyn Fn(Kind) -> u64,
    /// Whether the server has the model.
    pub(crate) has_model: bool,
    /// Whether it can be made from events.
    pub(crate) model_from_events: bool,
    /// Whether the baseline may come in several batches.
    pub(crate) baseline_in_pieces: bool,
    /// Batches that have failed in this delivery.
    pub(crate) failed: &'a HashSet<i64>,
}

/// What is next.
#[derive(Debug)]
pub(crate) enum Next {
    Batch(Batch),
    /// Nothing, and what the first that waits is waiting for, if it waits for something.
    Nothing(Option<Hold>),
}

/// What rows or labels wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The server has no model, and there is nothing to make it from.
    Model,
    /// The server has no model, and the baseline that makes it waits.
    Baseline,
    /// The server has no model, and rows of the baseline are among the damaged ones.
    DamagedBaseline,
    /// Events, or earlier labels of them, wait themselves.
    Events,
}

/// A segment in the queue.
struct Place {
    seq: i64,
    kind: Kind,
    rows: u64,
    batch: Option<i64>,
    /// Whether its batch has failed, and is not due again.
    is_delayed: bool,
}

/// In which order the queue is looked through.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Batches that were begun.
    Begun,
    /// Segments that are in no batch.
    New,
    /// Batches that are not due.
    Delayed,
}

enum Choice {
    Batch(i64),
    Segments(Kind, Vec<i64>),
    Nothing(Option<Hold>),
}

impl Outbox {
    /// The batch that is next: one that was begun, else the first segments that wait for nothing. A batch that later
    /// segments may still join is given out only with [`Now::everything`].
    pub(crate) fn next(&mut self, now: &Now<'_>) -> Result<Next> {
        let queue = self.places()?;
        let mut hold = None;
        for pass in [Pass::Begun, Pass::New, Pass::Delayed] {
            let is_begun = queue.iter().any(|place| place.batch.is_some());
            if (pass != Pass::New && !is_begun) || (pass == Pass::Delayed && !now.everything) {
                continue;
            }
            match self.choose(&queue, now, pass)? {
                Choice::Batch(id) => return self.batch(id).map(Next::Batch),
                Choice::Segments(kind, segments) => {
                    let id = self.begin(kind, &segments)?;
                    return self.batch(id).map(Next::Batch);
                }
                Choice::Nothing(found) => hold = hold.or(found),
            }
        }
        Ok(Next::Nothing(hold))
    }

    fn places(&self) -> Result<Vec<Place>> {
        let sql = "SELECT s.seq, s.kind, s.rows, s.batch, COALESCE(b.next_try, 0) > ?1
            FROM segments s LEFT JOIN batches b ON b.id = s.batch
            ORDER BY COALESCE(s.place, s.seq), s.seq";
        let now = jiff::Timestamp::now().as_millisecond();
        let read = |row: &rusqlite::Row<'_>| {
            let (seq, kind): (i64, i64) = (row.get(0)?, row.get(1)?);
            let (batch, is_delayed): (Option<i64>, bool) = (row.get(3)?, row.get(4)?);
            Ok((seq, kind, row.get(2)?, batch, is_delayed))
        };
        let place = |(seq, kind, rows, batch, is_delayed)| {
            Ok(Place {
                seq,
                kind: Kind::of(kind)?,
                rows,
                batch,
                is_delayed,
            })
        };
        let found = self.db.all(sql, [now], read)?;
        found.into_iter().map(place).collect()
    }

    fn choose(&self, queue: &[Place], now: &Now<'_>, pass: Pass) -> Result<Choice> {
        let mut waiting = Waiting::new(self, queue, now)?;
        let mut hold = None;
        let mut looked_at = HashSet::new();
        let mut run: Option<(Kind, u64, Vec<i64>)> = None;
        let mut grows = true;
        for place in queue {
            if let (Some((kind, rows, segments)), None) = (&mut run, place.batch) {
                let fits = *rows + place.rows <= (now.most)(*kind);
                if place.kind != *kind || !fits || waiting.hold(place)?.is_some() {
                    grows = false;
                    break;
                }
                *rows += place.rows;
                segments.push(place.seq);
                continue;
            }
            let is_turn = match (place.batch, pass) {
                (None, _) => pass == Pass::New,
                (Some(id), Pass::Begun) => !place.is_delayed && !now.failed.contains(&id),
                (Some(id), Pass::Delayed) => !now.failed.contains(&id),
                (Some(_), Pass::New) => false,
            };
            // Where a batch is in several places, the first stands for all.
            let is_first = place.batch.is_none_or(|id| looked_at.insert(id));
            if is_turn && is_first {
                match (waiting.hold(place)?, place.batch) {
                    (None, Some(id)) => return Ok(Choice::Batch(id)),
                    (None, None) => {
                        run = Some((place.kind, place.rows, vec![place.seq]));
                        continue;
                    }
                    (found, _) => hold = hold.or(found),
                }
            }
            if is_first {
                waiting.note(place)?;
            }
        }
        match run {
            Some((kind, rows, segments))
                if now.everything || !grows || rows >= (now.most)(kind) =>
            {
                Ok(Choice::Segments(kind, segments))
            }
            _ => Ok(Choice::Nothing(hold)),
        }
    }

    /// Puts waiting segments into a new batch.
    pub(crate) fn begin(&mut self, kind: Kind, segments: &[i64]) -> Result<i64> {
        let begun = self.db.transaction(|transaction, fail| {
            let id = new_batch(transaction, kind).map_err(fail)?;
            let mut put = transaction
                .prepare_cached("UPDATE segments SET batch = ?1 WHERE seq = ?2 AND batch IS NULL")
                .map_err(fail)?;
            for seq in segments {
                put.execute([id, *seq]).map_err(fail)?;
            }
            Ok(id)
        });
        Ok(begun?)
    }

    /// The event ids of the labels in a segment, or in all of a batch; none of what is damaged.
    fn labelled(&self, place: &Place) -> Result<Vec<String>> {
        let sql = "SELECT labels FROM segments WHERE seq = ?1 OR (?2 IS NOT NULL AND batch = ?2)";
        let found: Vec<Option<String>> = self
            .db
            .all(sql, (place.seq, place.batch), |row| row.get(0))?;
        let mut ids = Vec::new();
        for text in found.iter().flatten() {
            let pairs: Vec<(String, String)> = serde_json::from_str(text).unwrap_or_default();
            ids.extend(pairs.into_iter().map(|(id, _)| id));
        }
        Ok(ids)
    }
}

/// What stays in the queue, as far as it was looked through.
struct Waiting<'a> {
    outbox: &'a Outbox,
    baseline: Option<Hold>,
    events: Option<Hold>,
    labels: Option<Hold>,
    has_events: bool,
    /// Ids in labels that stay.
    labelled: HashSet<String>,
}

impl<'a> Waiting<'a> {
    fn new(outbox: &'a Outbox, queue: &[Place], now: &Now<'_>) -> Result<Self> {
        let has = |kind| queue.iter().any(|place| place.kind == kind);
        let mut waiting = Self {
            outbox,
            baseline: None,
            events: None,
            labels: None,
            has_events: has(Kind::Events),
            labelled: HashSet::new(),
        };
        if now.has_model {
            return Ok(waiting);
        }
        waiting.labels = Some(Hold::Model);
        let damaged = note::all(&outbox.folder.join(DAMAGED))?;
        let is_damaged = damaged.iter().any(|noted| {
            let kind = noted.note.as_ref().map(|note| note.kind.as_str());
            kind == Some(Kind::Baseline.name())
        });
        if is_damaged && !now.baseline_in_pieces {
            waiting.baseline = Some(Hold::DamagedBaseline);
        }
        waiting.events = match (has(Kind::Baseline), is_damaged) {
            (true, _) => Some(Hold::Baseline),
            (false, true) => Some(Hold::DamagedBaseline),
            (false, false) if now.model_from_events => None,
            (false, false) => Some(Hold::Model),
        };
        Ok(waiting)
    }

    /// What a segment, or the batch it is in, waits for.
    fn hold(&self, place: &Place) -> Result<Option<Hold>> {
        let hold = match place.kind {
            Kind::Baseline => self.baseline,
            Kind::Events => self.events,
            Kind::Labels => self.labels,
        };
        if hold.is_some()
            || place.kind != Kind::Labels
            || (self.labelled.is_empty() && !self.has_events)
        {
            return Ok(hold);
        }
        let ids = self.outbox.labelled(place)?;
        let sql = "SELECT 1 FROM known JOIN segments ON segments.seq = known.segment
            WHERE known.kind = ?1 AND known.event_id = ?2";
        let is_held = ids.iter().any(|id| self.labelled.contains(id))
            || (self.has_events && self.outbox.db.any(sql, Kind::Events.code(), &ids)?);
        Ok(is_held.then_some(Hold::Events))
    }

    /// Notes that a segment stays.
    fn note(&mut self, place: &Place) -> Result<()> {
        if place.kind == Kind::Labels {
            let ids = self.outbox.labelled(place)?;
            self.labelled.extend(ids);
        }
        Ok(())
    }
}
