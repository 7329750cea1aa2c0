//! `server.db`: what the server knows besides rows, as JSON documents in SQLite.
//!
//! A document has a kind, an id, and a key that no other document of its kind has. What a closure given to
//! [`Catalog::change`] writes is kept as a whole, and survives a crash, when `change` returns `Ok`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use driftline_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use rusqlite::types::ValueRef;
use rusqlite::{
    Connection, ErrorCode, MAIN_DB, OptionalExtension, Row, TransactionBehavior, params,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::http::envelope::{Answer, ApiError};

/// A sort of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub &'static str);

/// What each format of the database adds to the one before it.
pub(crate) const FORMATS: [&str; 2] = [
    "
    CREATE TABLE document (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        key TEXT,
        body TEXT NOT NULL,
        UNIQUE (kind, id),
        UNIQUE (kind, key)
    );
    CREATE TABLE queue (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        job TEXT NOT NULL UNIQUE,
        work TEXT NOT NULL
    );
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    ",
    // `named` has the uploads that work of the queue reads, `aside` what could not be read.
    "
    CREATE TABLE named (job TEXT NOT NULL, upload TEXT NOT NULL, PRIMARY KEY (job, upload)) WITHOUT ROWID;
    CREATE INDEX named_upload ON named (upload);
    INSERT OR IGNORE INTO named (job, upload)
        SELECT job, value
        FROM queue, json_each(CASE WHEN json_valid(work) THEN work ELSE '{}' END, '$.files');
    INSERT OR IGNORE INTO named (job, upload)
        SELECT job, json_extract(work, '$.file')
        FROM (SELECT job, CASE WHEN json_valid(work) THEN work ELSE '{}' END AS work FROM queue)
        WHERE json_extract(work, '$.file') IS NOT NULL;
    CREATE TABLE aside (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        source TEXT NOT NULL,
        id TEXT NOT NULL,
        body BLOB,
        problem TEXT NOT NULL,
        at TEXT NOT NULL
    );
    ",
];
/// The format that this driftline writes.
pub(crate) const FORMAT: i64 = FORMATS.len() as i64;

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

/// What retention says of the documents of a kind whose work is done.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// How many, the newest.
    pub most: u64,
    /// From which moment on.
    pub since: Timestamp,
    /// The moment after which they are kept however many they are.
    pub settled: Timestamp,
}

/// The open database. Calls block; handlers go through [`App::blocking`](crate::App::blocking).
#[derive(Debug)]
pub struct Catalog {
    connection: Mutex<Connection>,
}

impl Catalog {
    /// Opens `path`, and makes it if it is not there.
    ///
    /// # Errors
    /// `Resource` if it cannot be opened, `Unsupported` if a later driftline made it, `InvalidData` if it is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        if salvaged(path).exists() {
            let message = "a repair of the database was interrupted";
            return Err(Error::new(
                ErrorKind::InvalidData,
                "open the server's database",
                message,
            )
            .with("file", path.display())
            .remedy("run the repair again"));
        }
        let failed = |cause: rusqlite::Error| {
            let kind = match cause.sqlite_error_code() {
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                    ErrorKind::InvalidData
                }
                _ => ErrorKind::Resource,
            };
            Error::new(
                kind,
                "open the server's database",
                "the database cannot be used",
            )
            .with("file", path.display())
            .because(cause)
        };
        let mut connection = Connection::open(path).map_err(failed)?;
        // Where a file cannot be opened for writing, SQLite opens it for reading, and stays with that.
        if connection.is_readonly(MAIN_DB).map_err(failed)? {
            let message = "the database cannot be written to";
            return Err(
                Error::new(ErrorKind::Resource, "open the server's database", message)
                    .with("file", path.display()),
            );
        }
        connection
            .pragma_update(None, "journal_mode", "WAL")
            .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
            .and_then(|()| connection.busy_timeout(std::time::Duration::from_secs(10)))
            .map_err(failed)?;
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failed)?;
        let format: i64 = transaction
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(failed)?;
        Self::check_format(format, path)?;
        for step in FORMATS.iter().skip(format as usize) {
            transaction.execute_batch(step).map_err(failed)?;
        }
        if format < FORMAT {
            transaction
                .pragma_update(None, "user_version", FORMAT)
                .map_err(failed)?;
        }
        transaction.commit().map_err(failed)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Refuses a database that a later driftline made.
    pub(crate) fn check_format(format: i64, path: &Path) -> Result<()> {
        if (0..=FORMAT).contains(&format) {
            return Ok(());
        }
        let message = format!("the database has format {format}, this driftline reads {FORMAT}");
        Err(Error::new(
            ErrorKind::Unsupported,
            "open the server's database",
            message,
        )
        .with("file", path.display())
        .remedy("use the driftline that wrote it, or another `sink.store`"))
    }

    /// Runs `body` in one transaction. On `Err` nothing of it is kept.
    pub fn change<T>(&self, body: impl FnOnce(&Documents<'_>) -> Answer<T>) -> Answer<T> {
        // A panic inside `body` rolled its transaction back, so the connection is as good as before.
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(database)?;
        let value = body(&Documents {
            connection: &transaction,
        })?;
        transaction.commit().map_err(database)?;
        Ok(value)
    }

    /// Runs `body`, which only reads.
    pub fn read<T>(&self, body: impl FnOnce(&Documents<'_>) -> Answer<T>) -> Answer<T> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        body(&Documents {
            connection: &connection,
        })
    }
}

/// The documents, inside one call of [`Catalog::change`] or [`Catalog::read`].
#[derive(Debug)]
pub struct Documents<'a> {
    connection: &'a Connection,
}

impl<'a> Documents<'a> {
    /// Those of a database that is open for something else than serving.
    pub(crate) fn of(connection: &'a Connection) -> Self {
        Self { connection }
    }

    /// Adds a document.
    ///
    /// # Errors
    /// 409 if id or key are taken.
    pub fn insert(
        &self,
        kind: Kind,
        id: Uuid,
        key: Option<&str>,
        body: &impl Serialize,
    ) -> Answer<()> {
        let text = text(body)?;
        let sql = "INSERT INTO document (kind, id, key, body) VALUES (?1, ?2, ?3, ?4)";
        match self
            .connection
            .execute(sql, params![kind.0, id.to_string(), key, text])
        {
            Ok(_) => Ok(()),
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Err(
                ApiError::conflict(format!("{} already exists", capitalised(kind.0))),
            ),
            Err(e) => Err(database(e)),
        }
    }

    /// Replaces the body of a document; one that is not there is a 404.
    pub fn replace(&self, kind: Kind, id: Uuid, body: &impl Serialize) -> Answer<()> {
        let text = text(body)?;
        let sql = "UPDATE document SET body = ?3 WHERE kind = ?1 AND id = ?2";
        match self
            .connection
            .execute(sql, params![kind.0, id.to_string(), text])
            .map_err(database)?
        {
            0 => Err(ApiError::not_found(&capitalised(kind.0))),
            _ => Ok(()),
        }
    }

    /// The document with this id.
    pub fn get<T: DeserializeOwned>(&self, kind: Kind, id: Uuid) -> Answer<Option<T>> {
        let sql = "SELECT body FROM document WHERE kind = ?1 AND id = ?2";
        self.one(sql, kind, &id.to_string())
    }

    /// The document with this key.
    pub fn by_key<T: DeserializeOwned>(&self, kind: Kind, key: &str) -> Answer<Option<T>> {
        self.one(
            "SELECT body FROM document WHERE kind = ?1 AND key = ?2",
            kind,
            key,
        )
    }

    /// All documents of a kind, in the order in which they were added.
    pub fn list<T: DeserializeOwned>(&self, kind: Kind) -> Answer<Vec<T>> {
        let sql = "SELECT body FROM document WHERE kind = ?1 ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        let rows = statement
            .query_map([kind.0], |row| row.get::<_, String>(0))
            .map_err(database)?;
        rows.map(|body| parsed(&body.map_err(database)?)).collect()
    }

    /// All documents of a kind whose key begins with `prefix`, in the order of their keys.
    pub fn under<T: DeserializeOwned>(&self, kind: Kind, prefix: &str) -> Answer<Vec<T>> {
        let sql =
            "SELECT body FROM document WHERE kind = ?1 AND key >= ?2 AND key < ?3 ORDER BY key";
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        // No character of a key is greater.
        let end = format!("{prefix}\u{10FFFF}");
        let rows = statement
            .query_map([kind.0, prefix, &end], |row| row.get::<_, String>(0))
            .map_err(database)?;
        rows.map(|body| parsed(&body.map_err(database)?)).collect()
    }

    /// Takes the key from the document that has it, if one does, so that another may have it.
    pub fn release_key(&self, kind: Kind, key: &str) -> Answer<()> {
        let sql = "UPDATE document SET key = NULL WHERE kind = ?1 AND key = ?2";
        self.connection
            .execute(sql, [kind.0, key])
            .map_err(database)?;
        Ok(())
    }

    /// Removes a document and says whether it was there.
    pub fn delete(&self, kind: Kind, id: Uuid) -> Answer<bool> {
        let sql = "DELETE FROM document WHERE kind = ?1 AND id = ?2";
        let deleted = self
            .connection
            .execute(sql, params![kind.0, id.to_string()])
            .map_err(database)?;
        Ok(deleted > 0)
    }

    /// A setting of the server itself.
    pub fn setting(&self, name: &str) -> Answer<Option<String>> {
        self.connection
            .query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
            .map_err(database)
    }

    /// Keeps a setting of the server itself.
    pub fn set(&self, name: &str, value: &str) -> Answer<()> {
        self.connection
            .execute(
                "INSERT INTO setting (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = ?2",
                [name, value],
            )
            .map_err(database)?;
        Ok(())
    }

    /// Puts work that reads `uploads` at the end of the queue. Work of the same job that waits already is left where it
    /// is.
    pub fn enqueue(&self, job: Uuid, work: &impl Serialize, uploads: &[Uuid]) -> Answer<()> {
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
    pub fn next_work<T: DeserializeOwned>(&self) -> Answer<Option<Queued<T>>> {
        let sql = "SELECT seq, job, work FROM queue ORDER BY seq LIMIT 1";
        self.connection
            .query_row(sql, [], queued)
            .optional()
            .map_err(database)
    }

    /// All entries of the queue, the oldest first.
    pub fn queued<T: DeserializeOwned>(&self) -> Answer<Vec<Queued<T>>> {
        let sql = "SELECT seq, job, work FROM queue ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        let rows = statement.query_map([], queued).map_err(database)?;
        rows.collect::<rusqlite::Result<_>>().map_err(database)
    }

    /// Takes the work of a job out of the queue.
    pub fn dequeue(&self, job: Uuid) -> Answer<()> {
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
    pub fn set_work_aside(&self, entry: &Unreadable) -> Answer<()> {
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

    /// Takes a document that cannot be read out of sight; its bytes stay in the table `aside`.
    pub fn set_document_aside(&self, kind: &str, id: &str, problem: &str) -> Answer<()> {
        let now = Timestamp::now().to_string();
        let copy = "INSERT INTO aside (source, id, body, problem, at)
                    SELECT kind, id, CAST(body AS BLOB), ?3, ?4 FROM document WHERE kind = ?1 AND id = ?2";
        self.connection
            .execute(copy, params![kind, id, problem, now])
            .and_then(|_| {
                let sql = "DELETE FROM document WHERE kind = ?1 AND id = ?2";
                self.connection.execute(sql, [kind, id])
            })
            .map_err(database)?;
        Ok(())
    }

    /// Whether work of the queue reads this upload.
    pub fn is_named(&self, upload: Uuid) -> Answer<bool> {
        self.connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM named WHERE upload = ?1)",
                [upload.to_string()],
                |row| row.get(0),
            )
            .map_err(database)
    }

    /// Removes documents of a kind that have no work in the queue and that `kept` does not cover, and says how many.
    /// Their moment is `finished_at`, or else `created_at`.
    pub fn forget_done(&self, kind: Kind, kept: Kept) -> Answer<usize> {
        let sql = "
            WITH done AS (
                SELECT seq, CASE WHEN json_valid(body) THEN
                    coalesce(json_extract(body, '$.finished_at'), json_extract(body, '$.created_at'))
                END AS moment
                FROM document WHERE kind = ?1 AND id NOT IN (SELECT job FROM queue)
            )
            DELETE FROM document WHERE seq IN (
                SELECT seq FROM done WHERE moment < ?2
                UNION ALL
                SELECT seq FROM done WHERE moment < ?3
                    AND seq <= (SELECT seq FROM done ORDER BY seq DESC LIMIT 1 OFFSET ?4)
            )";
        let most = i64::try_from(kept.most).unwrap_or(i64::MAX);
        let (since, settled) = (kept.since.to_string(), kept.settled.to_string());
        self.connection
            .execute(sql, params![kind.0, since, settled, most])
            .map_err(database)
    }

    /// Work that waits or runs.
    pub fn queue_length(&self) -> Answer<u64> {
        self.connection
            .query_row("SELECT count(*) FROM queue", [], |row| row.get(0))
            .map(i64::cast_unsigned)
            .map_err(database)
    }

    fn one<T: DeserializeOwned>(&self, sql: &str, kind: Kind, value: &str) -> Answer<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        let body: Option<String> = statement
            .query_row([kind.0, value], |row| row.get(0))
            .optional()
            .map_err(database)?;
        body.map(|body| parsed(&body)).transpose()
    }
}

/// Where a repair puts the database that takes the place of the one at `path`.
pub(crate) fn salvaged(path: &Path) -> PathBuf {
    path.with_extension("db.salvaged")
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

/// The bytes of a column, whatever a damaged file holds there.
pub(crate) fn bytes_of(row: &Row<'_>, column: usize) -> Vec<u8> {
    match row.get_ref(column) {
        Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes.to_vec(),
        _ => Vec::new(),
    }
}

/// Like [`bytes_of`], as text.
pub(crate) fn text_of(row: &Row<'_>, column: usize) -> String {
    String::from_utf8_lossy(&bytes_of(row, column)).into_owned()
}

fn text(body: &impl Serialize) -> Answer<String> {
    serde_json::to_string(body).map_err(ApiError::internal)
}

fn parsed<T: DeserializeOwned>(body: &str) -> Answer<T> {
    serde_json::from_str(body).map_err(ApiError::internal)
}

/// `alert_rule` as a client reads it: `Alert rule`.
fn capitalised(kind: &str) -> String {
    let mut letters = kind.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    first
        .into_iter()
        .chain(letters)
        .collect::<String>()
        .replace('_', " ")
}

fn database(cause: rusqlite::Error) -> ApiError {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::SystemIoFailure) => {
            tracing::error!(%cause, "the database failed");
            ApiError::unavailable("the server's database cannot be written at the moment")
        }
        _ => ApiError::internal(cause),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const THING: Kind = Kind("some_thing");

    #[test]
    fn a_change_is_kept_as_a_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.db");
        let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
        {
            let catalog = Catalog::open(&path).unwrap();
            catalog
                .change(|documents| documents.insert(THING, a, Some("k"), &json!(1)))
                .unwrap();
            let refused = catalog.change(|documents| {
                documents.replace(THING, a, &json!(2))?;
                documents.insert(THING, b, Some("k"), &json!(3))
            });
            let refused = refused.unwrap_err();
            assert_eq!(refused.status.as_u16(), 409);
            assert_eq!(refused.message, "Some thing already exists");
        }
        let catalog = Catalog::open(&path).unwrap();
        let kept: Vec<Value> = catalog.read(|documents| documents.list(THING)).unwrap();
        assert_eq!(kept, [json!(1)]);
        catalog
            .change(|documents| {
                documents.release_key(THING, "k")?;
                documents.insert(THING, b, Some("k"), &json!(3))
            })
            .unwrap();
        let found: Option<Value> = catalog
            .read(|documents| documents.by_key(THING, "k"))
            .unwrap();
        assert_eq!(found, Some(json!(3)));
    }

    #[test]
    fn work_is_taken_in_order_and_stays_until_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("server.db")).unwrap();
        let next = || {
            catalog
                .read(|documents| documents.next_work::<Value>())
                .unwrap()
        };
        let work = |job| Some(Queued::Work(Uuid::from_u128(job), json!(job)));
        catalog
            .change(|documents| {
                for job in [5, 3, 5] {
                    documents.enqueue(Uuid::from_u128(job), &json!(job), &[])?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(next(), work(5));
        assert_eq!(next(), work(5));
        catalog
            .change(|documents| documents.dequeue(Uuid::from_u128(5)))
            .unwrap();
        assert_eq!(next(), work(3));
        assert_eq!(
            catalog.read(|documents| documents.queue_length()).unwrap(),
            1
        );
    }

    #[test]
    fn an_upload_is_named_until_the_last_job_that_reads_it_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("server.db")).unwrap();
        let (a, b, upload) = (Uuid::from_u128(1), Uuid::from_u128(2), Uuid::from_u128(3));
        let named = || {
            catalog
                .read(|documents| documents.is_named(upload))
                .unwrap()
        };
        for job in [a, b] {
            catalog
                .change(|documents| documents.enqueue(job, &json!(null), &[upload]))
                .unwrap();
        }
        for (job, still) in [(b, true), (a, false)] {
            assert!(named());
            catalog.change(|documents| documents.dequeue(job)).unwrap();
            assert_eq!(named(), still);
        }
    }

    #[test]
    fn a_database_of_the_first_format_is_taken_over_with_its_queue() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.db");
        let [first, second, third] = [4, 5, 6].map(Uuid::from_u128);
        {
            let old = Connection::open(&path).unwrap();
            old.execute_batch(FORMATS[0]).unwrap();
            old.pragma_update(None, "user_version", 1).unwrap();
            for (job, work) in [
                (
                    1,
                    json!({"work": "publish", "files": [first, second]}).to_string(),
                ),
                (2, json!({"work": "append", "file": third}).to_string()),
                (3, "not JSON".to_owned()),
            ] {
                let job = Uuid::from_u128(job).to_string();
                old.execute("INSERT INTO queue (job, work) VALUES (?1, ?2)", [job, work])
                    .unwrap();
            }
        }
        let catalog = Catalog::open(&path).unwrap();
        for upload in [first, second, third] {
            let named = catalog.read(|documents| documents.is_named(upload));
            assert_eq!(named, Ok(true));
        }
    }

    #[test]
    fn done_documents_are_forgotten_by_number_and_age_but_not_those_of_the_queue() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("server.db")).unwrap();
        let day = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        let ids: Vec<Uuid> = (0..10).map(Uuid::from_u128).collect();
        catalog
            .change(|documents| {
                for (n, id) in (0..).zip(&ids) {
                    let body = json!({"n": n, "created_at": day(n), "finished_at": day(n)});
                    documents.insert(THING, *id, None, &body)?;
                }
                documents.enqueue(ids[0], &json!(null), &[])
            })
            .unwrap();
        let left = |most, since, settled| {
            let kept = Kept {
                most,
                since: day(since),
                settled: day(settled),
            };
            catalog
                .change(|documents| documents.forget_done(THING, kept))
                .unwrap();
            let left: Vec<Value> = catalog.read(|documents| documents.list(THING)).unwrap();
            left.iter()
                .map(|body| body["n"].as_i64().unwrap())
                .collect::<Vec<_>>()
        };
        assert_eq!(left(100, 0, 10), (0..10).collect::<Vec<_>>());
        assert_eq!(left(100, 3, 10), [0, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(left(4, 0, 5), [0, 5, 6, 7, 8, 9]);
        assert_eq!(left(4, 0, 10), [0, 6, 7, 8, 9]);
    }

    #[test]
    fn what_is_no_database_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.db");
        std::fs::write(
            &path,
            "not a database, but longer than its header would be: ".repeat(20),
        )
        .unwrap();
        let error = Catalog::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
