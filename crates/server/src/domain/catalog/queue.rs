//! The queue: work that waits, in the order in which it was accepted.

use driftline_core::Result;
use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::columns::{bytes_of, text_of};
use super::documents::{Documents, database, text};

/// An entry of the queue.
#[derive(Debug, PartialEq, Eq)]
pub enum Queued<T> {
    /// The work of a job.
    Work(Uuid, T),
    /// Something that cannot be read.
    Unreadable(Unreadable),
}

/// An entry of the queue that is not what it should be.
#[derive(Debug, PartialEq, Eq)]
pub struct Unreadable {
    seq: i64,
    /// The job that it belongs to, if that can be read.
    pub job: Option<Uuid>,
    /// What is wrong with it.
    pub problem: String,
}

impl Documents<'_> {
    /// Puts work that reads `uploads` at the end of the queue. Work of the same job that waits already is left where it
    /// is.
    pub fn enqueue(&self, job: Uuid, work: &impl Serialize, uploads: &[Uuid]) -> Result<()> {
        let text = text(work)?;
        let job = job.to_string();
        let added = self
            .connection
            .execute(
                "INSERT INTO queue (job, work) VALUES (?1, ?2) ON CONFLICT (job) DO NOTHING",
                [&job, &text],
            )
            .map_err(database)?;
        if added == 0 {
            return Ok(());
        }
        self.new_work.set(true);
        for upload in uploads {
            self.connection
                .execute(
                    "INSERT OR IGNORE INTO named (job, upload) VALUES (?1, ?2)",
                    [&job, &upload.to_string()],
                )
                .map_err(database)?;
        }
        Ok(())
    }

    /// The oldest entry of the queue.
    pub fn next_work<T: DeserializeOwned>(&self) -> Result<Option<Queued<T>>> {
        let sql = "SELECT seq, job, work FROM queue ORDER BY seq LIMIT 1";
        self.connection
            .query_row(sql, [], queued)
            .optional()
            .map_err(database)
    }

    /// All entries of the queue, the oldest first.
    pub fn queued<T: DeserializeOwned>(&self) -> Result<Vec<Queued<T>>> {
        let sql = "SELECT seq, job, work FROM queue ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        let rows = statement.query_map([], queued).map_err(database)?;
        rows.collect::<rusqlite::Result<_>>().map_err(database)
    }

    /// Takes the work of a job out of the queue.
    pub fn dequeue(&self, job: Uuid) -> Result<()> {
        for sql in [
            "DELETE FROM queue WHERE job = ?1",
            "DELETE FROM named WHERE job = ?1",
        ] {
            self.connection
                .execute(sql, [job.to_string()])
                .map_err(database)?;
        }
        Ok(())
    }

    /// Takes an entry that cannot be read out of the queue; its bytes stay in the table `aside`.
    pub fn set_work_aside(&self, entry: &Unreadable) -> Result<()> {
        let now = Timestamp::now().to_string();
        let copy = "INSERT INTO aside (source, id, body, problem, at)
                    SELECT 'queue', job, CAST(work AS BLOB), ?2, ?3 FROM queue WHERE seq = ?1";
        self.connection
            .execute(copy, params![entry.seq, entry.problem, now])
            .and_then(|_| {
                let named = "DELETE FROM named WHERE job = (SELECT job FROM queue WHERE seq = ?1)";
                self.connection.execute(named, [entry.seq])
            })
            .and_then(|_| {
                let queue = "DELETE FROM queue WHERE seq = ?1";
                self.connection.execute(queue, [entry.seq])
            })
            .map_err(database)?;
        Ok(())
    }

    /// Whether work of the queue reads this upload.
    pub fn is_named(&self, upload: Uuid) -> Result<bool> {
        self.connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM named WHERE upload = ?1)",
                [upload.to_string()],
                |row| row.get(0),
            )
            .map_err(database)
    }

    /// Work that waits or runs.
    pub fn queue_length(&self) -> Result<u64> {
        self.connection
            .query_row("SELECT count(*) FROM queue", [], |row| row.get(0))
            .map(i64::cast_unsigned)
            .map_err(database)
    }
}

/// An entry of the queue: a row of its number, its job and its work.
fn queued<T: DeserializeOwned>(row: &Row<'_>) -> rusqlite::Result<Queued<T>> {
    let (seq, job) = (row.get(0)?, text_of(row, 1).parse::<Uuid>());
    let work = serde_json::from_slice(&bytes_of(row, 2));
    Ok(match (job, work) {
        (Ok(job), Ok(work)) => Queued::Work(job, work),
        (Ok(job), Err(cause)) => Queued::Unreadable(Unreadable {
            seq,
            job: Some(job),
            problem: format!("the work of the job cannot be read: {cause}"),
        }),
        (Err(_), _) => Queued::Unreadable(Unreadable {
            seq,
            job: None,
            problem: "the job of this work has no readable id".to_owned(),
        }),
    })
}
