//! Documents: JSON with a kind, an id, and a key that no other document of its kind has.

use std::cell::Cell;

use driftline_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, OptionalExtension, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::domain::error;

/// A sort of documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind(pub &'static str);

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

/// The documents, inside one call of [`Catalog::change`](super::Catalog::change) or [`Catalog::read`](super::Catalog::read).
#[derive(Debug)]
pub struct Documents<'a> {
    pub(super) connection: &'a Connection,
    pub(super) new_work: Cell<bool>,
}

impl<'a> Documents<'a> {
    /// Those of an open database.
    pub(crate) fn of(connection: &'a Connection) -> Self {
        Self {
            connection,
            new_work: Cell::new(false),
        }
    }

    /// Whether work was put into the queue.
    pub(super) fn has_new_work(&self) -> bool {
        self.new_work.get()
    }

    /// Adds a document.
    ///
    /// # Errors
    /// `Conflict` if id or key are taken.
    pub fn insert(
        &self,
        kind: Kind,
        id: Uuid,
        key: Option<&str>,
        body: &impl Serialize,
    ) -> Result<()> {
        let text = text(body)?;
        let sql = "INSERT INTO document (kind, id, key, body) VALUES (?1, ?2, ?3, ?4)";
        match self
            .connection
            .execute(sql, params![kind.0, id.to_string(), key, text])
        {
            Ok(_) => Ok(()),
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => Err(
                error::conflict(format!("{} already exists", capitalised(kind.0))),
            ),
            Err(e) => Err(database(e)),
        }
    }

    /// Replaces the body of a document; one that is not there is `NotFound`.
    pub fn replace(&self, kind: Kind, id: Uuid, body: &impl Serialize) -> Result<()> {
        let text = text(body)?;
        let sql = "UPDATE document SET body = ?3 WHERE kind = ?1 AND id = ?2";
        match self
            .connection
            .execute(sql, params![kind.0, id.to_string(), text])
            .map_err(database)?
        {
            0 => Err(error::not_found(&capitalised(kind.0))),
            _ => Ok(()),
        }
    }

    /// The document with this id.
    pub fn get<T: DeserializeOwned>(&self, kind: Kind, id: Uuid) -> Result<Option<T>> {
        let sql = "SELECT body FROM document WHERE kind = ?1 AND id = ?2";
        self.one(sql, kind, &id.to_string())
    }

    /// The document with this key.
    pub fn by_key<T: DeserializeOwned>(&self, kind: Kind, key: &str) -> Result<Option<T>> {
        self.one(
            "SELECT body FROM document WHERE kind = ?1 AND key = ?2",
            kind,
            key,
        )
    }

    /// All documents of a kind, in the order in which they were added.
    pub fn list<T: DeserializeOwned>(&self, kind: Kind) -> Result<Vec<T>> {
        let sql = "SELECT body FROM document WHERE kind = ?1 ORDER BY seq";
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        let rows = statement
            .query_map([kind.0], |row| row.get::<_, String>(0))
            .map_err(database)?;
        rows.map(|body| parsed(&body.map_err(database)?)).collect()
    }

    /// All documents of a kind whose key begins with `prefix`, in the order of their keys.
    pub fn under<T: DeserializeOwned>(&self, kind: Kind, prefix: &str) -> Result<Vec<T>> {
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
    pub fn release_key(&self, kind: Kind, key: &str) -> Result<()> {
        let sql = "UPDATE document SET key = NULL WHERE kind = ?1 AND key = ?2";
        self.connection
            .execute(sql, [kind.0, key])
            .map_err(database)?;
        Ok(())
    }

    /// Removes a document and says whether it was there.
    pub fn delete(&self, kind: Kind, id: Uuid) -> Result<bool> {
        let sql = "DELETE FROM document WHERE kind = ?1 AND id = ?2";
        let deleted = self
            .connection
            .execute(sql, params![kind.0, id.to_string()])
            .map_err(database)?;
        Ok(deleted > 0)
    }

    /// A setting of the server itself.
    pub fn setting(&self, name: &str) -> Result<Option<String>> {
        self.connection
            .query_row("SELECT value FROM setting WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()
            .map_err(database)
    }

    /// Keeps a setting of the server itself.
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        self.connection
            .execute(
                "INSERT INTO setting (name, value) VALUES (?1, ?2)
                 ON CONFLICT (name) DO UPDATE SET value = ?2",
                [name, value],
            )
            .map_err(database)?;
        Ok(())
    }

    /// Takes a document that cannot be read out of sight; its bytes stay in the table `aside`.
    pub fn set_document_aside(&self, kind: &str, id: &str, problem: &str) -> Result<()> {
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

    /// Removes documents of a kind that have no work in the queue and that `kept` does not cover, and says how many.
    /// Their moment is `finished_at`, or else `created_at`.
    pub fn forget_done(&self, kind: Kind, kept: Kept) -> Result<usize> {
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

    fn one<T: DeserializeOwned>(&self, sql: &str, kind: Kind, value: &str) -> Result<Option<T>> {
        let mut statement = self.connection.prepare_cached(sql).map_err(database)?;
        let body: Option<String> = statement
            .query_row([kind.0, value], |row| row.get(0))
            .optional()
            .map_err(database)?;
        body.map(|body| parsed(&body)).transpose()
    }
}

pub(super) fn text(body: &impl Serialize) -> Result<String> {
    serde_json::to_string(body).map_err(error::internal)
}

fn parsed<T: DeserializeOwned>(body: &str) -> Result<T> {
    serde_json::from_str(body).map_err(error::internal)
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

pub(super) fn database(cause: rusqlite::Error) -> Error {
    match cause.sqlite_error_code() {
        Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy | ErrorCode::SystemIoFailure) => {
            let message = "the server's database cannot be written at the moment";
            Error::new(ErrorKind::Resource, "use the server's database", message)
                .because(cause)
                .retryable()
        }
        _ => error::internal(cause),
    }
}
