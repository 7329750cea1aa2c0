//! Rows on their way: what was accepted stays on disk until the server has it.
//!
//! ```text
//! <store>/.driftline/outbox/<project>/<model>/
//!   outbox.db                 what is in which state, and every event_id ever accepted
//!   segments/….parquet        accepted rows, one file a publish call
//!   dead-letter/….parquet     rows that the server's job failed on, each with a .json that says why
//!   damaged/….parquet         segments that cannot be read, each with a .json that says why
//!   deliver.lock              one process delivers at a time
//! ```
//!
//! A segment is what one call brought; a batch is what one job of the server takes: segments of one kind that follow
//! each other. A batch keeps its segments for good, so that it is the same after a crash; only a damaged segment ends it.
//! [`order`] says which batch is next, [`quarantine`] takes damaged segments out.

pub(crate) mod order;
pub(crate) mod quarantine;

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use driftline_core::{Ack, Error, ErrorKind, EventLabel, MonitorSpec, Result, Rows};
use driftline_rows::{EventIds, create_folder};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Transaction, params};

use crate::batch::{Batch, Kind, Segment};
use crate::database::{Database, Unfinished};
use crate::dead_letter;

pub(crate) const SEGMENTS: &str = "segments";
pub(crate) const DATABASE: &str = "outbox.db";
/// A database that a repair has made, and not yet put in its place.
pub(crate) const REPAIRED: &str = "outbox.repaired.db";
const LOCK: &str = "deliver.lock";
/// Noted once every known id names the segment that brought it.
const IDS_NAME_SEGMENTS: &str = "ids name segments";
/// How long a batch that has failed is left alone: this, doubled with each failure, up to the bound.
const FIRST_DELAY: Duration = Duration::from_secs(60);
const LONGEST_DELAY: Duration = Duration::from_secs(3_600);

/// The outbox of one model.
#[derive(Debug)]
pub(crate) struct Outbox {
    folder: PathBuf,
    db: Database,
    /// Whether a commit has failed, so that files may lie in the folder of segments that no row names.
    is_unsettled: bool,
}

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
    /// The folder of a model's outbox.
    ///
    /// # Errors
    /// `InvalidConfig` for a name that cannot be a folder.
    pub(crate) fn folder(store: &Path, project: &str, model: &str) -> Result<PathBuf> {
        check_name("project", project)?;
        check_name("model", model)?;
        Ok(root(store).join(project).join(model))
    }

    /// Opens the outbox in `folder`, or makes it, and removes files that a killed process left over.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        create_folder(&folder.join(SEGMENTS))?;
        let repaired = folder.join(REPAIRED);
        if repaired.exists() {
            let message = "the repair of the outbox was interrupted";
            return Err(
                Error::new(ErrorKind::InvalidData, "open the outbox", message)
                    .with("file", repaired.display())
                    .remedy("run `driftline store repair`, which completes the repair"),
            );
        }
        let database = folder.join(DATABASE);
        // In this order: another process may be making both.
        if !is_empty(&folder.join(SEGMENTS))? && is_lost(&database) {
            let message = "the outbox has rows, but its database is missing";
            return Err(
                Error::new(ErrorKind::InvalidData, "open the outbox", message)
                    .with("file", database.display())
                    .remedy("run `driftline store repair`, which rebuilds it from the rows"),
            );
        }
        let db = Database::open(&database)?;
        driftline_rows::durable::sync_folder(folder)
            .map_err(|e| Error::io("open the outbox", folder, e))?;
        let mut outbox = Self {
            folder: folder.to_owned(),
            db,
            is_unsettled: false,
        };
        outbox.have_ids_name_segments()?;
        match outbox.remove_leftovers() {
            // On a full disk what is there can still be delivered.
            Err(error) if error.kind() == ErrorKind::Resource => {
                log::warn!("files that no row names stay in the outbox: {error}");
                outbox.is_unsettled = true;
            }
            removed => removed?,
        }
        Ok(outbox)
    }

    /// Notes which segments brought the ids in an outbox of an earlier driftline.
    fn have_ids_name_segments(&mut self) -> Result<()> {
        if self.db.fact(IDS_NAME_SEGMENTS)?.is_some() {
            return Ok(());
        }
        let folder = self.folder.join(SEGMENTS);
        self.db.transaction(|transaction, fail| {
            let segments: Vec<(i64, i64, String)> = transaction
                .prepare("SELECT seq, kind, file FROM segments WHERE file IS NOT NULL")
                .and_then(|mut query| {
                    let rows =
                        query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
                    rows?.collect()
                })
                .map_err(fail)?;
            for (seq, kind, file) in segments {
                // One that is damaged already is found when it is to be sent.
                let Ok(ids) = EventIds::open(&folder.join(file)) else {
                    continue;
                };
                for ids in ids.map_while(Result::ok) {
                    name_segment(transaction, kind, ids.iter().flatten(), seq).map_err(fail)?;
                }
            }
            transaction
                .execute(
                    "INSERT OR IGNORE INTO facts (name, value) VALUES (?1, 'yes')",
                    [IDS_NAME_SEGMENTS],
                )
                .map_err(fail)?;
            Ok(())
        })?;
        Ok(())
    }

    /// Where it is.
    pub(crate) fn location(&self) -> &Path {
        &self.folder
    }

    /// Notes what the rows are for.
    pub(crate) fn note_monitor(&mut self, monitor: &MonitorSpec) -> Result<()> {
        let text = serde_json::to_string(monitor).map_err(|cause| {
            let message = "the monitor cannot be written";
            Error::new(ErrorKind::Internal, "open the outbox", message).because(cause)
        })?;
        self.db.note("monitor", &text)
    }

    /// What the rows are for, once that was noted.
    pub(crate) fn monitor(&self) -> Result<Option<MonitorSpec>> {
        let Some(text) = self.db.fact("monitor")? else {
            return Ok(None);
        };
        let damaged = |cause| {
            let message = "its description of the monitor is damaged";
            Error::new(ErrorKind::InvalidData, "read the outbox", message)
                .with("file", self.folder.join(DATABASE).display())
                .because(cause)
        };
        serde_json::from_str(&text).map(Some).map_err(damaged)
    }

    /// Binds the outbox to a server; event ids that one server has say nothing about another.
    ///
    /// # Errors
    /// `InvalidConfig` if it has accepted rows for another server.
    pub(crate) fn bind(&mut self, server: &str) -> Result<()> {
        match self.db.fact("server")? {
            Some(bound) if bound != server && self.has_accepted_anything()? => Err(Error::new(
                ErrorKind::InvalidConfig,
                "open the outbox",
                format!("its rows are for {bound}, not for {server}"),
            )
            .with("outbox", self.folder.display())
            .remedy(
                "give `sink.store` another folder for another server, or remove the outbox to send everything again",
            )),
            Some(bound) if bound == server => Ok(()),
            _ => self.db.note("server", server),
        }
    }

    /// Whether rows were ever accepted here.
    fn has_accepted_anything(&self) -> Result<bool> {
        let known = self.db.first("SELECT 1 FROM known", [], |_| Ok(()))?;
        Ok(known.is_some())
    }

    /// Whether the server once had rows of this kind.
    pub(crate) fn has_delivered(&self, kind: Kind) -> Result<bool> {
        Ok(self.db.fact(&delivered_fact(kind))?.is_some())
    }

    /// Whether the server once had rows of any kind.
    pub(crate) fn has_delivered_anything(&self) -> Result<bool> {
        Ok(self.has_delivered(Kind::Baseline)? || self.has_delivered(Kind::Events)?)
    }

    /// Rows and labels that wait.
    pub(crate) fn queued(&self) -> Result<u64> {
        let sql = "SELECT COALESCE(SUM(rows), 0) FROM segments";
        Ok(self.db.first(sql, [], |row| row.get(0))?.unwrap_or(0))
    }

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

    /// What a failed transaction comes to that has written files: they go with it, unless it may still have lasted.
    fn without(&mut self, written: &[PathBuf], unfinished: Unfinished) -> Error {
        match unfinished {
            Unfinished::Undone(error) => {
                remove_files(written);
                error
            }
            Unfinished::Uncertain(error) => {
                self.settle();
                error
            }
        }
    }

    /// Removes the files of a commit that failed, once it is certain that it has not lasted.
    fn settle(&mut self) {
        let settled = self.remove_leftovers();
        self.is_unsettled = settled.is_err();
        if let Err(error) = settled {
            log::warn!("files that no row may name stay in the outbox: {error}");
        }
    }

    /// Removes what a killed process or a failed commit left in the folder of segments.
    fn remove_leftovers(&mut self) -> Result<()> {
        let folder = self.folder.join(SEGMENTS);
        // Who writes a segment holds the transaction, so nobody is writing one now.
        let leftovers = self.db.transaction(|transaction, fail| {
            let mut leftovers = Vec::new();
            let listed: HashSet<String> = transaction
                .prepare("SELECT file FROM segments WHERE file IS NOT NULL")
                .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
                .map_err(fail)?;
            let read = |e| Error::io("list the outbox", &folder, e);
            for entry in fs::read_dir(&folder).map_err(read)? {
                let entry = entry.map_err(read)?;
                let name = entry.file_name();
                if !name.to_str().is_some_and(|name| listed.contains(name)) {
                    leftovers.push(entry.path());
                }
            }
            if !leftovers.is_empty() {
                // A commit that has failed may lie in the log all the same, and last after a crash. What is written
                // now takes its place there, so that nothing names these files any more.
                let sql = "INSERT INTO facts (name, value) VALUES ('settled', ?1)
                    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
                let once = uuid::Uuid::new_v4().to_string();
                transaction.execute(sql, [once]).map_err(fail)?;
            }
            Ok(leftovers)
        })?;
        remove_files(&leftovers);
        Ok(())
    }
}

/// Whether there is no database: a file without a byte is one that a crash has taken, too.
pub(crate) fn is_lost(database: &Path) -> bool {
    fs::metadata(database).map_or(true, |metadata| metadata.len() == 0)
}

/// Whether a folder has no file of rows.
fn is_empty(segments: &Path) -> Result<bool> {
    let failed = |e| Error::io("list the outbox", segments, e);
    for entry in fs::read_dir(segments).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|end| end == "parquet") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The labels as a segment has them.
fn labels_text(labels: &[EventLabel]) -> Result<String> {
    let pairs: Vec<_> = labels.iter().map(|l| (&l.event_id, &l.target)).collect();
    serde_json::to_string(&pairs).map_err(|cause| {
        let message = "the labels cannot be written";
        Error::new(ErrorKind::Internal, "accept labels", message).because(cause)
    })
}

/// The number of the segment that is inserted next.
fn next_segment(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    let sql = "SELECT seq + 1 FROM sqlite_sequence WHERE name = 'segments'";
    let next = transaction
        .query_row(sql, [], |row| row.get(0))
        .optional()?;
    Ok(next.unwrap_or(1))
}

/// Notes that a segment has brought these ids.
fn name_segment<'a>(
    transaction: &Transaction<'_>,
    kind: i64,
    ids: impl Iterator<Item = &'a str>,
    segment: i64,
) -> rusqlite::Result<()> {
    let sql = "UPDATE known SET segment = ?3 WHERE kind = ?1 AND event_id = ?2";
    let mut name = transaction.prepare_cached(sql)?;
    for id in ids {
        name.execute(params![kind, id, segment])?;
    }
    Ok(())
}

/// Path and name of a file for new rows. Equal rows of earlier do not have it: their file may be about to be removed.
fn new_segment(folder: &Path, kind: Kind) -> (PathBuf, String) {
    let file = format!("{}-{}.parquet", kind.name(), uuid::Uuid::new_v4());
    (folder.join(&file), file)
}

fn new_batch(transaction: &Transaction<'_>, kind: Kind) -> rusqlite::Result<i64> {
    transaction.execute("INSERT INTO batches (kind) VALUES (?1)", [kind.code()])?;
    Ok(transaction.last_insert_rowid())
}

/// Removes a batch and the segments that are still in it.
fn remove_batch(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM segments WHERE batch = ?1", [batch.id])?;
    transaction.execute("DELETE FROM batches WHERE id = ?1", [batch.id])?;
    Ok(())
}

fn delivered_fact(kind: Kind) -> String {
    format!("delivered {}", kind.name())
}

/// The right to deliver from the outbox in a folder, or to change what is delivered; none if another has it.
pub(crate) fn try_lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join(LOCK);
    let failed = |e| Error::io("lock the outbox", &path, e);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// What is said where another process has that right.
pub(crate) fn busy(folder: &Path) -> Error {
    let message = "another process is delivering from this outbox";
    Error::new(ErrorKind::Resource, "deliver rows", message)
        .with("file", folder.join(LOCK).display())
        .retryable()
        .remedy("wait until it has ended")
}

/// The folder of all outboxes of a store.
pub(crate) fn root(store: &Path) -> PathBuf {
    store.join(".driftline").join("outbox")
}

fn taken(rows: &Rows, which: &[u32]) -> Result<RecordBatch> {
    take_record_batch(rows.batch(), &UInt32Array::from(which.to_vec()))
        .map_err(|cause| defect("the new rows could not be taken", cause))
}

fn defect(message: &str, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::Internal, "keep rows in the outbox", message).because(cause)
}

/// A file that stays is removed when the outbox is opened the next time.
fn remove_files(files: &[PathBuf]) {
    for file in files {
        if let Err(cause) = fs::remove_file(file)
            && cause.kind() != std::io::ErrorKind::NotFound
        {
            log::warn!("could not remove {}: {cause}", file.display());
        }
    }
}

fn check_name(what: &'static str, name: &str) -> Result<()> {
    let bad = name.is_empty()
        || name.len() > 255
        || name.starts_with('.')
        || name.contains(['/', '\\'])
        || name.chars().any(char::is_control);
    if !bad {
        return Ok(());
    }
    let message = format!("the {what} name {name:?} cannot be the name of a folder");
    Err(
        Error::new(ErrorKind::InvalidConfig, "open the outbox", message)
            .remedy(format!("give the {what} another name")),
    )
}

#[cfg(test)]
mod tests {
    use driftline_core::{Row, RowSchema, RowsBuilder};

    use super::*;

    fn rows(ids: &[&str]) -> Rows {
        let schema = RowSchema::new(2, vec!["cat".to_owned(), "dog".to_owned()]).unwrap();
        let mut builder = RowsBuilder::new(schema);
        for id in ids {
            let row = Row {
                event_id: id,
                timestamp_ms: 1_793_491_200_000,
                embedding: &[0.5, 1.0],
                scores: &[0.5, 0.5],
                target: None,
                image_url: "a.png",
                image_number: 1,
                window: "week-1",
                properties: &[],
            };
            builder.push(&row).unwrap();
        }
        driftline_rows::check(&builder.finish().unwrap()).unwrap()
    }

    fn files(folder: &Path) -> usize {
        fs::read_dir(folder.join(SEGMENTS)).unwrap().count()
    }

    fn accept(outbox: &mut Outbox, ids: &[&str]) -> Result<Ack> {
        outbox.accept(Kind::Events, &rows(ids), 10)
    }

    #[test]
    fn a_commit_that_fails_and_lasts_keeps_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::open(folder.path()).unwrap();
        let failing = |_: &mut rusqlite::hooks::Wal, _| Err(rusqlite::Error::InvalidQuery);
        outbox.db.connection().wal_hook(Some(failing)).unwrap();
        accept(&mut outbox, &["a", "b"]).unwrap_err();
        assert_eq!(files(folder.path()), 1);
        // Whoever tries again is told that they are there.
        outbox
            .db
            .connection()
            .wal_hook(None::<fn(&mut rusqlite::hooks::Wal, i32) -> rusqlite::Result<()>>)
            .unwrap();
        assert_eq!(accept(&mut outbox, &["a", "b"]).unwrap().duplicates, 2);
        drop(outbox);
        let outbox = Outbox::open(folder.path()).unwrap();
        assert_eq!(outbox.queued().unwrap(), 2);
        let segments = outbox.segments().unwrap();
        assert!(
            segments
                .iter()
                .all(|(_, segment)| quarantine::fault(segment).is_none())
        );
    }

    #[test]
    fn a_commit_that_fails_and_is_undone_leaves_nothing_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::open(folder.path()).unwrap();
        outbox.db.connection().commit_hook(Some(|| true)).unwrap();
        accept(&mut outbox, &["a", "b"]).unwrap_err();
        // Nothing can be written that would make it certain, so the file stays.
        assert_eq!(files(folder.path()), 1);
        assert_eq!(outbox.queued().unwrap(), 0);
        outbox
            .db
            .connection()
            .commit_hook(None::<fn() -> bool>)
            .unwrap();
        assert_eq!(accept(&mut outbox, &["a", "b", "c"]).unwrap().accepted, 3);
        assert_eq!(files(folder.path()), 1);
        assert_eq!(outbox.queued().unwrap(), 3);
    }

    #[test]
    fn an_outbox_of_an_earlier_version_learns_which_segment_brought_an_id() {
        let folder = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::open(folder.path()).unwrap();
        accept(&mut outbox, &["a", "b"]).unwrap();
        let earlier =
            "ALTER TABLE known DROP COLUMN segment; ALTER TABLE batches DROP COLUMN tries;
            ALTER TABLE batches DROP COLUMN next_try; ALTER TABLE batches DROP COLUMN error;
            ALTER TABLE segments DROP COLUMN place; DELETE FROM facts;";
        outbox.db.connection().execute_batch(earlier).unwrap();
        drop(outbox);

        let mut outbox = Outbox::open(folder.path()).unwrap();
        let (kind, segment) = outbox.segments().unwrap().pop().unwrap();
        fs::write(segment.file.as_ref().unwrap(), b"damaged").unwrap();
        let error = quarantine::fault(&segment).unwrap();
        outbox.set_aside(kind, &segment, &error).unwrap();
        assert_eq!(accept(&mut outbox, &["a", "b"]).unwrap().accepted, 2);
    }
}
