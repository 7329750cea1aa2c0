//! Rows on their way: what was accepted stays on disk until the server has it.
//!
//! ```text
//! <store>/.driftline/outbox/<project>/<model>/
//!   outbox.db                 what is in which state, and every event_id ever accepted
//!   segments/….parquet        accepted rows, one file a publish call
//!   dead-letter/….parquet     rows that the server's job failed on, each with a .json that says why
//!   deliver.lock              one process delivers at a time
//! ```
//!
//! A segment is what one call brought; a batch is what one job of the server takes: segments of one kind that follow
//! each other. A batch keeps its segments for good, so that it is the same after a crash.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use driftline_core::{Ack, Error, ErrorKind, EventLabel, MonitorSpec, Result, Rows};
use driftline_rows::create_folder;
use rusqlite::{Transaction, params};

use crate::batch::{Batch, Kind, Segment};
use crate::database::Database;
use crate::dead_letter;

const SEGMENTS: &str = "segments";
const DATABASE: &str = "outbox.db";
/// The outbox of one model.
#[derive(Debug)]
pub(crate) struct Outbox {
    folder: PathBuf,
    db: Database,
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
        let db = Database::open(&folder.join(DATABASE))?;
        driftline_rows::durable::sync_folder(folder)
            .map_err(|e| Error::io("open the outbox", folder, e))?;
        let mut outbox = Self {
            folder: folder.to_owned(),
            db,
        };
        outbox.remove_leftovers()?;
        Ok(outbox)
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
            let message = "what it says about the monitor is damaged";
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
                "give --store another folder for another server, or remove the outbox to send everything anew",
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

    /// Rows and labels that wait.
    pub(crate) fn queued(&self) -> Result<u64> {
        let sql = "SELECT COALESCE(SUM(rows), 0) FROM segments";
        Ok(self.db.first(sql, [], |row| row.get(0))?.unwrap_or(0))
    }

    /// Accepts the rows that are new, in segments of at most `most` rows; when this returns, they are durable.
    pub(crate) fn accept(&mut self, kind: Kind, rows: &Rows, most: u64) -> Result<Ack> {
        let folder = self.folder.join(SEGMENTS);
        let mut written = Vec::new();
        let accepted = self.db.transaction(|transaction, fail| {
            let mut new = Vec::new();
            {
                let mut known = transaction
                    .prepare_cached("INSERT OR IGNORE INTO known (kind, event_id) VALUES (?1, ?2)")
                    .map_err(fail)?;
                for (row, id) in (0_u32..).zip(rows.event_ids()) {
                    let id = id.unwrap_or_default();
                    if known.execute(params![kind.code(), id]).map_err(fail)? > 0 {
                        new.push(row);
                    }
                }
            }
            let most = usize::try_from(most).unwrap_or(usize::MAX).max(1);
            for part in new.chunks(most) {
                let (path, file) = new_segment(&folder, kind);
                written.push(path.clone());
                driftline_rows::write(&path, &taken(rows, part)?)?;
                transaction
                    .execute(
                        "INSERT INTO segments (kind, rows, file) VALUES (?1, ?2, ?3)",
                        params![kind.code(), part.len() as i64, file],
                    )
                    .map_err(fail)?;
            }
            Ok(new.len() as u64)
        });
        if accepted.is_err() {
            remove_files(&written);
        }
        let accepted = accepted?;
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
                let pairs: Vec<_> = part.iter().map(|l| (&l.event_id, &l.target)).collect();
                let text = serde_json::to_string(&pairs).map_err(|cause| {
                    let message = "the labels cannot be written";
                    Error::new(ErrorKind::Internal, "accept labels", message).because(cause)
                })?;
                transaction
                    .execute(
                        "INSERT INTO segments (kind, rows, labels) VALUES (?1, ?2, ?3)",
                        params![Kind::Labels.code(), part.len() as i64, text],
                    )
                    .map_err(fail)?;
            }
            Ok(())
        })
    }

    /// The batch that is next: one that was begun, else the first segments that wait. `most` is how many rows a batch of
    /// a kind has at most; a single segment may have more. Without `everything`, a batch that later segments may still
    /// join is not given out.
    pub(crate) fn next(
        &mut self,
        everything: bool,
        most: impl Fn(Kind) -> u64,
    ) -> Result<Option<Batch>> {
        let begun = "SELECT id FROM batches ORDER BY id LIMIT 1";
        let begun: Option<i64> = self.db.first(begun, [], |row| row.get(0))?;
        let id = match begun {
            Some(id) => Some(id),
            None => self.begin(everything, most)?,
        };
        id.map(|id| self.batch(id)).transpose()
    }

    /// Puts waiting segments into a new batch.
    fn begin(&mut self, everything: bool, most: impl Fn(Kind) -> u64) -> Result<Option<i64>> {
        self.db.transaction(|transaction, fail| {
            let mut last = None;
            let mut kind = None;
            let mut rows = 0;
            let mut grows = true;
            {
                let mut waiting = transaction
                    .prepare_cached(
                        "SELECT seq, kind, rows FROM segments WHERE batch IS NULL ORDER BY seq",
                    )
                    .map_err(fail)?;
                let mut waiting = waiting.query([]).map_err(fail)?;
                while let Some(row) = waiting.next().map_err(fail)? {
                    let seq: i64 = row.get(0).map_err(fail)?;
                    let found = Kind::of(row.get(1).map_err(fail)?)?;
                    let count: u64 = row.get(2).map_err(fail)?;
                    let first = *kind.get_or_insert(found);
                    if found != first || (last.is_some() && rows + count > most(first)) {
                        grows = false;
                        break;
                    }
                    last = Some(seq);
                    rows += count;
                    if rows >= most(first) {
                        grows = false;
                        break;
                    }
                }
            }
            let (Some(kind), Some(last)) = (kind, last) else {
                return Ok(None);
            };
            if grows && !everything {
                return Ok(None);
            }
            let id = new_batch(transaction, kind).map_err(fail)?;
            transaction
                .execute(
                    "UPDATE segments SET batch = ?1 WHERE batch IS NULL AND seq <= ?2",
                    [id, last],
                )
                .map_err(fail)?;
            Ok(Some(id))
        })
    }

    fn batch(&self, id: i64) -> Result<Batch> {
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

    /// Makes two batches of one, which are the next. A single row cannot be cut, and labels of one call are not.
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
                        "INSERT INTO segments (kind, rows, file, batch) VALUES (?1, ?2, ?3, ?4)",
                        params![batch.kind.code(), half.num_rows() as i64, file, id],
                    )
                    .map_err(fail)?;
            }
            remove_batch(transaction, batch).map_err(fail)
        });
        if done.is_err() {
            remove_files(&written);
        }
        done?;
        remove_files(&[old.to_owned()]);
        Ok(())
    }

    /// Removes what a killed process left in the folder of segments.
    fn remove_leftovers(&mut self) -> Result<()> {
        let folder = self.folder.join(SEGMENTS);
        // Who writes a segment holds the transaction, so nobody is writing one now.
        self.db.transaction(|transaction, fail| {
            let listed: HashSet<String> = transaction
                .prepare("SELECT file FROM segments WHERE file IS NOT NULL")
                .and_then(|mut query| query.query_map([], |row| row.get(0))?.collect())
                .map_err(fail)?;
            let read = |e| Error::io("list the outbox", &folder, e);
            for entry in fs::read_dir(&folder).map_err(read)? {
                let entry = entry.map_err(read)?;
                let name = entry.file_name();
                if !name.to_str().is_some_and(|name| listed.contains(name)) {
                    remove_files(&[entry.path()]);
                }
            }
            Ok(())
        })
    }
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
