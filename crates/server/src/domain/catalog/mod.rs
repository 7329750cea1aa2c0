//! `server.db`: what the server knows besides rows, as JSON documents in SQLite, and the queue of its work.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `documents` | [`Documents`]: what a transaction reads and writes |
//! | `queue` | the work that waits, in the same transactions |
//! | `format` | the formats that the database has had |
//! | `columns` | columns of a row, whatever a damaged file holds there |
//! | `bell` | [`Bell`]: tells the worker of new work |
//!
//! What a closure given to [`Catalog::change`] writes is kept as a whole, and survives a crash, when `change` returns `Ok`.

mod bell;
mod columns;
mod documents;
mod format;
mod queue;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use driftline_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, ErrorCode, MAIN_DB, TransactionBehavior};

pub use documents::{Documents, Kept, Kind};
pub use queue::{Queued, Unreadable};

pub(crate) use bell::Bell;
pub(crate) use columns::{bytes_of, text_of};
pub(crate) use format::{FORMAT, FORMATS, check_format, format_of};

use documents::database;
use format::migrate;

/// The open database. Its calls block.
#[derive(Debug)]
pub struct Catalog {
    connection: Mutex<Connection>,
    bell: Arc<Bell>,
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
        let format = format_of(&transaction).map_err(failed)?;
        check_format(format, path)?;
        migrate(&transaction, format).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(Self {
            connection: Mutex::new(connection),
            bell: Arc::default(),
        })
    }

    /// What is rung when a change has put work into the queue.
    pub(crate) fn bell(&self) -> Arc<Bell> {
        Arc::clone(&self.bell)
    }

    /// Runs `body` in one transaction. On `Err` nothing of it is kept.
    pub fn change<T>(&self, body: impl FnOnce(&Documents<'_>) -> Result<T>) -> Result<T> {
        // A panic inside `body` rolled its transaction back, so the connection is as good as before.
        let mut connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(database)?;
        let documents = Documents::of(&transaction);
        let value = body(&documents)?;
        let has_work = documents.has_new_work();
        transaction.commit().map_err(database)?;
        if has_work {
            self.bell.ring();
        }
        Ok(value)
    }

    /// Runs `body`, which only reads.
    pub fn read<T>(&self, body: impl FnOnce(&Documents<'_>) -> Result<T>) -> Result<T> {
        let connection = self
            .connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        body(&Documents::of(&connection))
    }
}

/// Where a repair puts the database that takes the place of the one at `path`.
pub(crate) fn salvaged(path: &Path) -> PathBuf {
    path.with_extension("db.salvaged")
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};
    use uuid::Uuid;

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
            assert_eq!(refused.kind(), ErrorKind::Conflict);
            assert_eq!(refused.message(), "Some thing already exists");
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
            assert!(named.unwrap());
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
