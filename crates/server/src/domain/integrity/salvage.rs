//! What can still be read of a damaged database, in a new one.
//!
//! ```text
//! server.db.partial      being written; removed when a salvage starts
//! server.db.salvaged     whole and synced; from here on the old files are moved, and a server does not start
//! server.db.damaged-<n>  the old file, with its -wal
//! ```

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use driftline_rows::durable::sync_folder;
use rusqlite::types::ToSqlOutput;
use rusqlite::{Connection, ErrorCode, Row, params_from_iter};

use crate::domain::catalog::{FORMAT, FORMATS, salvaged};

/// Tables and their columns; what is missing in an old database is passed over.
const TABLES: [(&str, &str, usize); 3] = [
    ("document", "seq, kind, id, key, body", 5),
    ("queue", "seq, job, work", 3),
    ("setting", "name, value", 2),
];
const ASIDE: (&str, &str, usize) = ("aside", "seq, source, id, body, problem, at", 6);

/// Whether an error means that the file is damaged, rather than that it could not be reached.
pub(super) fn is_damage(cause: &rusqlite::Error) -> bool {
    matches!(
        cause.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// Puts a new database with all that can be read in the place of a damaged one.
pub(super) fn salvage(database: &Path) -> Result<()> {
    let partial = beside(database, ".partial");
    remove_database(&partial)?;
    copy(database, &partial).map_err(|cause| {
        let message = format!("what can be read cannot be written to a new database: {cause}");
        Error::new(ErrorKind::Resource, "repair the server's database", message)
            .with("file", partial.display())
    })?;
    File::open(&partial)
        .and_then(|file| file.sync_all())
        .and_then(|()| std::fs::rename(&partial, salvaged(database)))
        .and_then(|()| sync(database))
        .map_err(|e| Error::io("repair the server's database", database, e))?;
    finish(database).map(drop)
}

/// Ends a salvage whose new database is whole, and says whether there was one.
pub(super) fn finish(database: &Path) -> Result<bool> {
    let salvaged = salvaged(database);
    if !salvaged.exists() {
        return Ok(false);
    }
    let failed = |e| Error::io("repair the server's database", database, e);
    let wal = beside(database, "-wal");
    if database.exists() || wal.exists() {
        let damaged = (1..)
            .map(|n: u32| beside(database, &format!(".damaged-{n}")))
            .find(|path| !path.exists())
            .unwrap_or_else(|| beside(database, ".damaged"));
        // The -wal goes first: beside the new database it would be taken for a part of it.
        rename(&wal, &beside(&damaged, "-wal")).map_err(failed)?;
        rename(&beside(database, "-shm"), &beside(&damaged, "-shm")).map_err(failed)?;
        rename(database, &damaged).map_err(failed)?;
    }
    std::fs::rename(&salvaged, database)
        .and_then(|()| sync(database))
        .map_err(failed)?;
    Ok(true)
}

fn copy(from: &Path, to: &Path) -> rusqlite::Result<()> {
    let old = Connection::open(from)?;
    let mut connection = Connection::open(to)?;
    let new = connection.transaction()?;
    let (first, later) = FORMATS.split_at(1);
    for step in first {
        new.execute_batch(step)?;
    }
    for table in TABLES {
        copy_table(&old, &new, table)?;
    }
    for step in later {
        new.execute_batch(step)?;
    }
    copy_table(&old, &new, ASIDE)?;
    new.pragma_update(None, "user_version", FORMAT)?;
    new.commit()
}

/// Copies rows from the beginning until one cannot be read, and then from the end.
fn copy_table(
    old: &Connection,
    new: &Connection,
    (table, columns, count): (&str, &str, usize),
) -> rusqlite::Result<()> {
    let places = vec!["?"; count].join(", ");
    let mut insert = new.prepare(&format!(
        "INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})"
    ))?;
    for order in ["ASC", "DESC"] {
        let select = format!("SELECT {columns} FROM {table} NOT INDEXED ORDER BY rowid {order}");
        let Ok(mut statement) = old.prepare(&select) else {
            return Ok(());
        };
        let Ok(mut rows) = statement.query([]) else {
            return Ok(());
        };
        loop {
            match rows.next() {
                Ok(Some(row)) => {
                    if let Ok(values) = values(row, count) {
                        insert.execute(params_from_iter(values))?;
                    }
                }
                Ok(None) => return Ok(()),
                Err(_) => break,
            }
        }
    }
    Ok(())
}

fn values<'a>(row: &'a Row<'_>, count: usize) -> rusqlite::Result<Vec<ToSqlOutput<'a>>> {
    (0..count)
        .map(|column| Ok(ToSqlOutput::Borrowed(row.get_ref(column)?)))
        .collect()
}

/// A file whose name is that of the database and more.
fn beside(database: &Path, more: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(more);
    PathBuf::from(name)
}

fn remove_database(path: &Path) -> Result<()> {
    for more in ["", "-journal", "-wal", "-shm"] {
        let path = beside(path, more);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(Error::io("remove a leftover", &path, e));
            }
            _ => {}
        }
    }
    Ok(())
}

fn rename(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn sync(database: &Path) -> io::Result<()> {
    sync_folder(database.parent().unwrap_or_else(|| Path::new(".")))
}
