//! The outbox's SQLite database: durable at every commit, shared by processes.

use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use driftline_core::{Error, ErrorKind, Result};
use rusqlite::{
    Connection, ErrorCode, MAIN_DB, OpenFlags, OptionalExtension, Params, Row, Transaction,
    TransactionBehavior, ffi, params,
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

/// Columns that came later: table, name, type. An outbox of an earlier driftline gets them when it is opened.
const LATER: [(&str, &str, &str); 5] = [
    // The segment that brought an id; says nothing once that has gone.
    ("known", "segment", "INTEGER"),
    // Attempts that failed, when the next one is due (milliseconds; none: now), and why the last one failed.
    ("batches", "tries", "INTEGER NOT NULL DEFAULT 0"),
    ("batches", "next_try", "INTEGER"),
    ("batches", "error", "TEXT"),
    // The segment whose place a cut one has in the order of acceptance.
    ("segments", "place", "INTEGER"),
];

/// What turns SQLite's errors into ours.
pub(crate) type Fail<'a> = &'a dyn Fn(rusqlite::Error) -> Error;

/// Why a transaction has no result.
#[derive(Debug)]
pub(crate) enum Unfinished {
    /// It has changed nothing.
    Undone(Error),
    /// Its end failed: it may have changed all or nothing, and a crash may still decide which.
    Uncertain(Error),
}

impl From<Unfinished> for Error {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Undone(error) | Unfinished::Uncertain(error) => error,
        }
    }
}

impl From<Error> for Unfinished {
    fn from(error: Error) -> Self {
        Self::Undone(error)
    }
}

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

    /// The file as it is, only for reading. Nothing is made that is not there.
    pub(crate) fn open_to_read(path: &Path) -> Result<Self> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
            .and_then(|connection| {
                connection.busy_timeout(BUSY)?;
                Ok(connection)
            })
            .map_err(|cause| failed(path, cause))?;
        Ok(Self {
            path: path.to_owned(),
            connection,
        })
    }

    /// What SQLite finds wrong with the file, if anything.
    pub(crate) fn fault(&self) -> Result<Option<String>> {
        let found: rusqlite::Result<Vec<String>> = self
            .connection
            .prepare("PRAGMA integrity_check(3)")
            .and_then(|mut check| check.query_map([], |row| row.get(0))?.collect());
        match found {
            Ok(lines) if lines == ["ok"] => Ok(None),
            Ok(lines) => Ok(Some(lines.join("; "))),
            Err(cause) if is_damage(&cause) => Ok(Some(cause.to_string())),
            Err(cause) => Err(failed(&self.path, cause)),
        }
    }

    /// Does all of `work` or none of it, while no other process changes the outbox.
    pub(crate) fn transaction<T>(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, Fail<'_>) -> Result<T>,
    ) -> Result<T, Unfinished> {
        let path = &self.path;
        let fail = |cause| failed(path, cause);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(fail)?;
        let done = work(&transaction, &fail)?;
        let committed = transaction.commit().map_err(fail);
        committed.map_err(Unfinished::Uncertain)?;
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

    /// Gives what `read` makes of the rows of a query to `take`, until a row cannot be read; returns whether all could.
    ///
    /// # Errors
    /// Those of `take`.
    pub(crate) fn each<T>(
        &self,
        sql: &str,
        read: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
        mut take: impl FnMut(T) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<bool> {
        let Ok(mut query) = self.connection.prepare(sql) else {
            return Ok(false);
        };
        let Ok(rows) = query.query_map([], read) else {
            return Ok(false);
        };
        for row in rows {
            match row {
                Ok(row) => take(row)?,
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }

    /// For tests that have SQLite fail.
    #[cfg(test)]
    pub(crate) fn connection(&mut self) -> &mut Connection {
        &mut self.connection
    }

    /// Closes the file, with all that it has in itself and nothing beside it.
    pub(crate) fn close_as_one_file(self) -> Result<()> {
        let closed = self
            .connection
            .pragma_update(None, "journal_mode", "DELETE")
            .and_then(|()| self.connection.close().map_err(|(_, cause)| cause));
        closed.map_err(|cause| failed(&self.path, cause))
    }

    /// Whether the query finds a row for `kind` and any of `ids`.
    pub(crate) fn any(&self, sql: &str, kind: i64, ids: &[String]) -> Result<bool> {
        let any = || -> rusqlite::Result<bool> {
            let mut query = self.connection.prepare_cached(sql)?;
            for id in ids {
                if query.exists(params![kind, id])? {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        any().map_err(|cause| failed(&self.path, cause))
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
    // Where a file cannot be opened for writing, SQLite opens it for reading, and stays with that.
    if connection.is_readonly(MAIN_DB)? {
        let cause = ffi::Error::new(ffi::SQLITE_READONLY);
        let message = "it cannot be opened for writing".to_owned();
        return Err(rusqlite::Error::SqliteFailure(cause, Some(message)));
    }
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit survives the loss of power.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.execute_batch(TABLES)?;
    for (table, column, kind) in LATER {
        if lacks(&connection, table, column)? {
            let sql = format!("ALTER TABLE {table} ADD COLUMN {column} {kind}");
            match connection.execute_batch(&sql) {
                // Another process may have been quicker.
                Err(_) if !lacks(&connection, table, column)? => {}
                done => done?,
            }
        }
    }
    Ok(connection)
}

fn lacks(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2)";
    connection.query_row(sql, [table, column], |row| row.get(0))
}

fn is_damage(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
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
        _ if is_damage(&cause) => Error::new(
            ErrorKind::InvalidData,
            operation,
            "the outbox's database is damaged",
        )
        .with("file", path.display())
        .because(cause)
        .remedy("run `driftline store repair`, which keeps all rows that can still be read"),
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
