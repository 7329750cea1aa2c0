//! What is damaged in the outboxes of a store, and its repair.
//!
//! | what | what a repair does |
//! | --- | --- |
//! | a segment that is missing or cannot be read | moves it to `damaged/`, and forgets its ids, so that its rows can be published again |
//! | a file that no row of the database names | removes it: its rows have arrived, or were never accepted |
//! | the database | makes it anew from what can be read of it and from the segments; the old one goes to `damaged/` |
//!
//! Killed at any moment, a repair that is begun again completes it. Nothing may publish or deliver meanwhile.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use driftline_core::{Error, ErrorKind, Finding, Result};
use driftline_rows::durable::sync_folder;
use driftline_rows::{EventIds, Footer, create_folder};
use rusqlite::{OptionalExtension, Row, Transaction, params};

use crate::batch::Kind;
use crate::database::{Database, Fail};
use crate::note::{self, DAMAGED, DEAD_LETTER};
use crate::outbox::quarantine::{fault, is_damage, segments};
use crate::outbox::{DATABASE, Outbox, REPAIRED, SEGMENTS, busy, is_lost, try_lock};
use crate::status::outbox_folders;

/// A repaired database while it is made.
const REPAIRING: &str = "outbox.repairing.db";
/// What SQLite puts beside a database.
const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// What is damaged in the outboxes of `store`; nothing is changed. Empty if all is sound.
///
/// # Errors
/// Those of the file system. What is damaged is a finding, not an error.
pub fn check(store: &Path) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for folder in outbox_folders(store)? {
        if let Some(finding) = check_database(&folder)? {
            found.push(finding);
        } else if !is_lost(&folder.join(DATABASE)) {
            found.extend(check_segments(&folder)?);
        }
    }
    Ok(found)
}

/// Repairs what [`check`] finds; returns what was found, and whether it is repaired now.
///
/// # Errors
/// Those of the file system, and `Resource` while a process delivers; what was repaired before stays so.
pub fn repair(store: &Path) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for folder in outbox_folders(store)? {
        let database = check_database(&folder)?;
        let segments = match !is_lost(&folder.join(DATABASE)) && database.is_none() {
            true => check_segments(&folder)?,
            false => Vec::new(),
        };
        if database.is_none() && segments.is_empty() {
            continue;
        }
        let Some(_lock) = try_lock(&folder)? else {
            return Err(busy(&folder));
        };
        if let Some(mut finding) = database {
            finding.rows_lost = repair_database(&folder)?;
            finding.repaired = true;
            found.push(finding);
        }
        let findings = check_segments(&folder)?;
        // Opening removes the files that no row names.
        let mut outbox = Outbox::open(&folder)?;
        for (kind, segment) in outbox.segments()? {
            if let Some(error) = fault(&segment).filter(is_damage) {
                outbox.set_aside(kind, &segment, &error)?;
            }
        }
        let left: HashSet<PathBuf> = check_segments(&folder)?
            .into_iter()
            .map(|finding| finding.path)
            .collect();
        found.extend(findings.into_iter().map(|finding| Finding {
            repaired: !left.contains(&finding.path),
            ..finding
        }));
    }
    Ok(found)
}

/// What is wrong with the database, if anything.
fn check_database(folder: &Path) -> Result<Option<Finding>> {
    let path = folder.join(DATABASE);
    let finding = |problem: String, rows_lost| {
        Some(Finding {
            path: path.clone(),
            problem,
            rows_lost,
            repair: "make it anew from what can be read of it and from the segments; ids that \
                cannot be read are sent again if they are published again, and the server tells them"
                .to_owned(),
            repaired: false,
        })
    };
    if folder.join(REPAIRED).exists() {
        return Ok(finding("its repair was interrupted".to_owned(), Some(0)));
    }
    if is_lost(&path) {
        let segments = files(&folder.join(SEGMENTS))?;
        return Ok(match segments.is_empty() {
            true => None,
            false => finding("it is missing, and there are rows".to_owned(), None),
        });
    }
    let problem = match Database::open_to_read(&path) {
        Ok(database) => database.fault()?,
        Err(error) if error.kind() == ErrorKind::InvalidData => Some(error.to_string()),
        Err(error) => return Err(error),
    };
    Ok(problem.and_then(|problem| finding(problem, None)))
}

/// What is wrong with the segments of a sound database.
fn check_segments(folder: &Path) -> Result<Vec<Finding>> {
    let segments_folder = folder.join(SEGMENTS);
    let mut named = HashSet::new();
    let mut found = Vec::new();
    let database = Database::open_to_read(&folder.join(DATABASE))?;
    for (kind, segment) in segments(&database, &segments_folder)? {
        if let Some(error) = fault(&segment) {
            let path = segment.file.clone();
            let repair = match is_damage(&error) {
                true => format!(
                    "move it to `{DAMAGED}` and forget its ids, so that its rows can be published again"
                ),
                false => "none: check the disk and the permissions".to_owned(),
            };
            found.push(Finding {
                path: path.unwrap_or_else(|| folder.join(DATABASE)),
                problem: format!("{} {} that wait: {error}", segment.rows, kind.name()),
                rows_lost: Some(segment.rows),
                repair,
                repaired: false,
            });
        }
        named.extend(segment.file);
    }
    for path in files(&segments_folder)? {
        if !named.contains(&path) {
            found.push(Finding {
                path,
                problem: "no row of the outbox names it".to_owned(),
                rows_lost: Some(0),
                repair: "remove it: its rows have arrived, or were never accepted".to_owned(),
                repaired: false,
            });
        }
    }
    Ok(found)
}

/// Files in a folder, oldest first; none if it is not there.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("list the outbox", folder, e);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        found.push((modified.unwrap_or(SystemTime::UNIX_EPOCH), entry.path()));
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// Makes the database anew; returns how many rows are lost, if that can be told.
fn repair_database(folder: &Path) -> Result<Option<u64>> {
    let path = folder.join(DATABASE);
    let repaired = folder.join(REPAIRED);
    let mut is_whole = false;
    if !repaired.exists() {
        let repairing = folder.join(REPAIRING);
        remove_database(&repairing)?;
        is_whole = salvage(folder, &repairing)?;
        rename(&repairing, &repaired)?;
        sync(folder)?;
    }
    // From here on the new database is complete: a repair that is begun again goes on here.
    let damaged = folder.join(DAMAGED);
    create_folder(&damaged)?;
    let once = uuid::Uuid::new_v4();
    for end in ["", "-wal"] {
        let from = beside(&path, end);
        if from.exists() {
            let to = damaged.join(format!("outbox-{once}.db{end}"));
            let copied = fs::copy(&from, &to).and_then(|_| File::open(&to)?.sync_all());
            copied.map_err(|e| Error::io("keep the damaged database", &to, e))?;
        }
    }
    sync(&damaged)?;
    // The log of the old database must not be taken for one of the new.
    remove_database(&path)?;
    sync(folder)?;
    rename(&repaired, &path)?;
    sync(folder)?;
    Ok(is_whole.then_some(0))
}

/// Writes what can be read of a database, and the segments beside it, to a new one; returns whether all could be read.
fn salvage(folder: &Path, new: &Path) -> Result<bool> {
    let mut database = Database::open(new)?;
    let old = Database::open_to_read(&folder.join(DATABASE)).ok();
    let segments_folder = folder.join(SEGMENTS);
    let mut is_whole = old.is_some();
    let finished = database.transaction(|transaction, fail| {
        if let Some(old) = &old {
            let texts = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let numbered = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let sql = "SELECT name, value FROM facts";
            let put = "INSERT OR REPLACE INTO facts (name, value) VALUES (?1, ?2)";
            let facts = old.each(sql, texts, |pair: (String, String)| {
                transaction.execute(put, pair).map(drop)
            });
            let sql = "SELECT kind, event_id FROM known";
            let put = "INSERT OR REPLACE INTO known (kind, event_id) VALUES (?1, ?2)";
            let known = old.each(sql, numbered, |pair: (i64, String)| {
                transaction.prepare_cached(put)?.execute(pair).map(drop)
            });
            // Batches are begun again: what was under way is sent once more, and the server tells it by its ids.
            let sql = "SELECT seq, kind, rows, file, labels FROM segments";
            let put = "INSERT OR REPLACE INTO segments (seq, kind, rows, file, labels)
                VALUES (?1, ?2, ?3, ?4, ?5)";
            type Fields = (i64, i64, i64, Option<String>, Option<String>);
            let fields = |row: &Row<'_>| Fields::try_from(row);
            let segments = old.each(sql, fields, |fields| {
                transaction.execute(put, fields).map(drop)
            });
            // Numbers are never used twice.
            let sql = "SELECT name, seq FROM sqlite_sequence";
            let named = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let numbers = old.each(sql, named, |(table, number): (String, i64)| {
                start_after(transaction, &table, number)
            });
            for read in [facts, known, segments, numbers] {
                is_whole &= read.map_err(fail)?;
            }
        }
        for (table, notes) in [("segments", DAMAGED), ("batches", DEAD_LETTER)] {
            let notes = note::all(&folder.join(notes))?;
            let last = notes.iter().map(note::Noted::number).max().unwrap_or(0);
            start_after(transaction, table, last).map_err(fail)?;
        }
        if !is_whole {
            add_unnamed(transaction, fail, &segments_folder)?;
        }
        know_ids(transaction, fail, &segments_folder)
    });
    finished?;
    database.close_as_one_file()?;
    Ok(is_whole)
}

/// Has the numbers of a table go on after `last`.
fn start_after(transaction: &Transaction<'_>, table: &str, last: i64) -> rusqlite::Result<()> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = ?1";
    let now: Option<i64> = transaction
        .query_row(sql, [table], |row| row.get(0))
        .optional()?;
    let sql = match now {
        Some(now) if now >= last => return Ok(()),
        Some(_) => "UPDATE sqlite_sequence SET seq = ?2 WHERE name = ?1",
        None => "INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)",
    };
    transaction.execute(sql, params![table, last])?;
    Ok(())
}

/// Adds the files that the old database may have named in what cannot be read of it.
fn add_unnamed(transaction: &Transaction<'_>, fail: Fail<'_>, folder: &Path) -> Result<()> {
    for path in files(folder)? {
        let name = path.file_name().and_then(|name| name.to_str());
        let kind = name.and_then(|name| Kind::named(name.split('-').next()?));
        let (Some(name), Some(kind)) = (name, kind) else {
            continue;
        };
        // One that is damaged is set aside later, and must be named for that.
        let rows = Footer::read(&path).map_or(0, |footer| footer.rows);
        let sql = "INSERT INTO segments (kind, rows, file) SELECT ?1, ?2, ?3
            WHERE NOT EXISTS (SELECT 1 FROM segments WHERE file = ?3)";
        let added = transaction.execute(sql, params![kind.code(), rows as i64, name]);
        added.map_err(fail)?;
    }
    Ok(())
}

/// Notes the ids of all segments that can be read.
fn know_ids(transaction: &Transaction<'_>, fail: Fail<'_>, folder: &Path) -> Result<()> {
    let sql = "SELECT seq, kind, file FROM segments WHERE file IS NOT NULL ORDER BY seq";
    let mut query = transaction.prepare(sql).map_err(fail)?;
    let mut rows = query.query([]).map_err(fail)?;
    while let Some(row) = rows.next().map_err(fail)? {
        let seq: i64 = row.get(0).map_err(fail)?;
        let kind: i64 = row.get(1).map_err(fail)?;
        let file: String = row.get(2).map_err(fail)?;
        // One that is damaged is set aside later.
        let Ok(ids) = EventIds::open(&folder.join(file)) else {
            continue;
        };
        let sql = "INSERT OR REPLACE INTO known (kind, event_id, segment) VALUES (?1, ?2, ?3)";
        let mut know = transaction.prepare_cached(sql).map_err(fail)?;
        for ids in ids.map_while(Result::ok) {
            for id in ids.iter().flatten() {
                know.execute(params![kind, id, seq]).map_err(fail)?;
            }
        }
    }
    Ok(())
}

/// Removes a database and what SQLite puts beside it.
fn remove_database(path: &Path) -> Result<()> {
    for end in COMPANIONS.into_iter().chain([""]) {
        let path = beside(path, end);
        match fs::remove_file(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(|e| Error::io("repair the outbox", &path, e))?,
        }
    }
    Ok(())
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(|e| Error::io("repair the outbox", from, e))
}

fn sync(folder: &Path) -> Result<()> {
    sync_folder(folder).map_err(|e| Error::io("repair the outbox", folder, e))
}
