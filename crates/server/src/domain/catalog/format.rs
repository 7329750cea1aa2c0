//! The formats that `server.db` has had, and the way from each to the next.

use std::path::Path;

use driftline_core::{Error, ErrorKind, Result};
use rusqlite::{Connection, Transaction};

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

/// The format of a database, 0 of one that was just made.
pub(crate) fn format_of(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a database of an older format to this one.
pub(super) fn migrate(transaction: &Transaction<'_>, format: i64) -> rusqlite::Result<()> {
    for step in FORMATS.iter().skip(format as usize) {
        transaction.execute_batch(step)?;
    }
    if format < FORMAT {
        transaction.pragma_update(None, "user_version", FORMAT)?;
    }
    Ok(())
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
