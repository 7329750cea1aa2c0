//! What SQLite finds wrong with the database, and how findings about it are put.

use std::fmt::Display;
use std::path::Path;
use std::time::Duration;

use driftline_core::{Error, ErrorKind, Finding, Result};
use rusqlite::{Connection, OpenFlags};

use super::salvage::is_damage;
use crate::domain::catalog::{check_format, format_of, text_of};

/// What SQLite itself finds wrong with a database.
pub(super) fn damage(database: &Path) -> Result<Vec<String>> {
    let opened = read_only(database);
    if let Ok(connection) = &opened
        && let Ok(format) = format_of(connection)
    {
        check_format(format, database)?;
    }
    let found = opened.and_then(|connection| {
        let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
        let lines = statement.query_map([], |row| Ok(text_of(row, 0)))?;
        lines.collect::<rusqlite::Result<Vec<_>>>()
    });
    match found {
        Ok(mut lines) => {
            lines.retain(|line| line != "ok");
            Ok(lines)
        }
        Err(cause) if is_damage(&cause) => Ok(vec![cause.to_string()]),
        Err(cause) => Err(unread(database, cause)),
    }
}

pub(super) fn read_only(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    Ok(connection)
}

pub(super) fn unread(database: &Path, cause: impl Display) -> Error {
    let message = format!("the database cannot be read: {cause}");
    Error::new(ErrorKind::Resource, "check the server's database", message)
        .with("file", database.display())
}

/// A finding about the database.
pub(super) fn finding(
    database: &Path,
    problem: &str,
    repair: &str,
    rows_lost: Option<u64>,
) -> Finding {
    Finding {
        path: database.to_owned(),
        problem: problem.to_owned(),
        rows_lost,
        repair: repair.to_owned(),
        repaired: false,
    }
}

/// The same, done with.
pub(super) fn repaired(finding: Finding) -> Finding {
    Finding {
        repaired: true,
        ..finding
    }
}
