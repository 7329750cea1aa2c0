//! The outbox's SQLite database: durable at every commit, shared by processes.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use driftline_core::{Error, ErrorKind, Result};
use rusqlite::{
    Connection, ErrorCode, OptionalExtension, Params, Row, Transaction, TransactionBehavior,
};

/// How long one process waits for the other's transaction.
const BUSY: Duration = Duration::from_secs(60);
const BUSY_POLL: Duration = Duration::from_millis(10);

const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS known (
        kind INTEGER NOT NULL, event_id TEXT NOT NULL, PRIMARY KEY (kind, event_id)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS batches (
        id INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, upload TEXT, job TEXT);
    CREATE TABLE IF NOT EXISTS segments (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, kind INTEGER NOT NULL, rows INTEGER NOT NULL,
        file TEXT, labels TEXT, batch INTEGER REFERENCES batches);
    CREATE INDEX IF NOT EXISTS segments_of_batch ON segments (batch, seq);
";

/// What turns SQLite's errors into ours.
pub(crate) type Fail<'a> = &'a dyn Fn(rusqlite::Error) -> Error;

/// A database with the outbox's tables.
#[derive(Debug)]
pub(crate) struct Database {
    path: PathBuf,
    connection: Connection,
}

impl Database {
    /// Opens the file, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let start = Instant::now();
        loop {
            match connect(path) {
                Ok(connection) => {
                    return Ok(Self {
                        path: path.to_owned(),
                        connection,
                    });
                }
                // SQLite does not wait where two processes turn a new file into WAL mode at once.
                Err(cause) if is_busy(&cause) && start.elapsed() < BUSY => sleep(BUSY_POLL),
                Err(cause) => return Err(failed(path, cause)),
            }
        }
    }

    /// Does all of `work` or none of it, while no other process changes the outbox.
    pub(crate) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, Fail<'_>) -> Result<T>,
    ) -> Result<T> {
        let path = &self.path;
        let fail = |cause| failed(path, cause);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fail)?;
        let done = work(&transaction, &fail)?;
        transaction.commit().map_err(fail)?;
        Ok(done)
    }

    /// Does one statement.
    pub(crate) fn execute(&self, sql: &str, params: impl Params) -> Result<()> {
        let done = self.connection.execute(sql, params);
        done.map(drop).map_err(|cause| failed(&self.path, cause))
    }

    /// The first row of a query, read by `read`.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let found = self.connection.query_row(sql, params, read);
        found.optional().map_err(|cause| failed(&self.path, cause))
    }

    /// All rows of a query, each read by `read`.
    pub(crate) fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        let all = || {
            let mut query = self.connection.prepare_cached(sql)?;
            query.query_map(params, read)?.collect()
        };
        let all: rusqlite::Result<Vec<T>> = all();
        all.map_err(|cause| failed(&self.path, cause))
    }

    /// What was noted under a name.
    pub(crate) fn fact(&self, name: &str) -> Result<Option<String>> {
        let sql = "SELECT value FROM facts WHERE name = ?1";
        self.first(sql, [name], |row| row.get(0))
    }

    /// Notes something under a name.
    pub(crate) fn note(&self, name: &str, value: &str) -> Result<()> {
        let sql = "INSERT INTO facts (name, value) VALUES (?1, ?2)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE value <> excluded.value";
        self.execute(sql, [name, value])
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit survives the loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(TABLES)?;
    Ok(connection)
}

fn is_busy(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

fn failed(path: &Path, cause: rusqlite::Error) -> Error {
    let operation = "write the outbox";
    match cause.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            Error::io(operation, path, std::io::ErrorKind::StorageFull.into())
        }
        Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
            Error::io(operation, path, std::io::ErrorKind::PermissionDenied.into())
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Error::new(
            ErrorKind::InvalidData,
            operation,
            "the outbox's database is damaged",
        )
        .with("file", path.display())
        .because(cause)
        .remedy("keep its folder's segments, move the rest away, and publish the rows again"),
        _ if is_busy(&cause) => Error::new(
            ErrorKind::Resource,
            operation,
            "another process has held the outbox for too long",
        )
        .with("file", path.display())
        .retryable()
        .remedy("end the other process, or wait for it"),
        _ => Error::new(
            ErrorKind::Resource,
            operation,
            "the outbox's database cannot be used",
        )
        .with("file", path.display())
        .because(cause)
        .remedy("check the disk: its space, and whether it fails"),
    }
}
