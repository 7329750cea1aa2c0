//! `server.db`: what the server knows besides rows, as JSON documents in SQLite.
//!
//! A document has a kind, an id, and a key that no other document of its kind has. What a closure given to
//! [`Catalog::change`] writes is kept as a whole, and survives a crash, when `change` returns `Ok`.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use driftline_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::envelope::{Answer, ApiError};

/// A sort of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub &'static str);

const FORMAT: i64 = 1;
const TABLES: &str = "
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
";

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
        match format {
            0 => transaction
                .execute_batch(TABLES)
                .and_then(|()| transaction.pragma_update(None, "user_version", FORMAT))
                .map_err(failed)?,
            FORMAT => {}
            other => {
                let message =
                    format!("the database has format {other}, this driftline reads {FORMAT}");
                return Err(Error::new(
                    ErrorKind::Unsupported,
                    "open the server's database",
                    message,
                )
                .with("file", path.display())
                .remedy("use the driftline that wrote it, or another --store"));
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
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

impl Documents<'_> {
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

    /// Puts work at the end of the queue. Work of the same job that waits already is left where it is.
    pub fn enqueue(&self, job: Uuid, work: &impl Serialize) -> Answer<()> {
        let text = text(work)?;
        self.connection
            .execute(
                "INSERT INTO queue (job, work) VALUES (?1, ?2) ON CONFLICT (job) DO NOTHING",
                [job.to_string(), text],
            )
            .map_err(database)?;
        Ok(())
    }

    /// The oldest work of the queue.
    pub fn next_work<T: DeserializeOwned>(&self) -> Answer<Option<(Uuid, T)>> {
        let sql = "SELECT job, work FROM queue ORDER BY seq LIMIT 1";
        let row = self
            .connection
            .query_row(sql, [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?))
            })
            .optional()
            .map_err(database)?;
        row.map(|(job, work)| {
            let job = job.parse().map_err(ApiError::internal)?;
            Ok((job, parsed(&work)?))
        })
        .transpose()
    }

    /// All work of the queue, the oldest first.
    pub fn queued<T: DeserializeOwned>(&self) -> Answer<Vec<T>> {
        let sql = "SELECT work FROM queue ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        let rows = statement
            .query_map([], |row| row.get::<_, String>(0))
            .map_err(database)?;
        rows.map(|work| parsed(&work.map_err(database)?)).collect()
    }

    /// Takes the work of a job out of the queue.
    pub fn dequeue(&self, job: Uuid) -> Answer<()> {
        self.connection
            .execute("DELETE FROM queue WHERE job = ?1", [job.to_string()])
            .map_err(database)?;
        Ok(())
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
        catalog
            .change(|documents| {
                for job in [5, 3, 5] {
                    documents.enqueue(Uuid::from_u128(job), &json!(job))?;
                }
                Ok(())
            })
            .unwrap();
        assert_eq!(next(), Some((Uuid::from_u128(5), json!(5))));
        assert_eq!(next(), Some((Uuid::from_u128(5), json!(5))));
        catalog
            .change(|documents| documents.dequeue(Uuid::from_u128(5)))
            .unwrap();
        assert_eq!(next(), Some((Uuid::from_u128(3), json!(3))));
        assert_eq!(
            catalog.read(|documents| documents.queue_length()).unwrap(),
            1
        );
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
