//! Segments and batches in the database, and their files: what accepting, halving and delivering share.

use std::fs;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, EventLabel, Result};
use rusqlite::{OptionalExtension, Transaction, params};

use crate::batch::{Batch, Kind};

/// The number of the segment that is inserted next.
pub(super) fn next_segment(transaction: &Transaction<'_>) -> rusqlite::Result<i64> {
    let sql = "SELECT seq + 1 FROM sqlite_sequence WHERE name = 'segments'";
    let next = transaction
        .query_row(sql, [], |row| row.get(0))
        .optional()?;
    Ok(next.unwrap_or(1))
}

/// Notes that a segment has brought these ids.
pub(super) fn name_segment<'a>(
    transaction: &Transaction<'_>,
    kind: i64,
    ids: impl Iterator<Item = &'a str>,
    segment: i64,
) -> rusqlite::Result<()> {
    let sql = "UPDATE known SET segment = ?3 WHERE kind = ?1 AND event_id = ?2";
    let mut name = transaction.prepare_cached(sql)?;
    for id in ids {
        name.execute(params![kind, id, segment])?;
    }
    Ok(())
}

/// Path and name of a file for new rows. Equal rows of earlier do not have it: their file may be about to be removed.
pub(super) fn new_segment(folder: &Path, kind: Kind) -> (PathBuf, String) {
    let file = format!("{}-{}.parquet", kind.name(), uuid::Uuid::new_v4());
    (folder.join(&file), file)
}

/// A batch without segments.
pub(super) fn new_batch(transaction: &Transaction<'_>, kind: Kind) -> rusqlite::Result<i64> {
    transaction.execute("INSERT INTO batches (kind) VALUES (?1)", [kind.code()])?;
    Ok(transaction.last_insert_rowid())
}

/// Removes a batch and the segments that are still in it.
pub(super) fn remove_batch(transaction: &Transaction<'_>, batch: &Batch) -> rusqlite::Result<()> {
    transaction.execute("DELETE FROM segments WHERE batch = ?1", [batch.id])?;
    transaction.execute("DELETE FROM batches WHERE id = ?1", [batch.id])?;
    Ok(())
}

/// The labels as a segment has them.
pub(super) fn labels_text(labels: &[EventLabel]) -> Result<String> {
    let pairs: Vec<_> = labels.iter().map(|l| (&l.event_id, &l.target)).collect();
    serde_json::to_string(&pairs).map_err(|cause| {
        let message = "the labels cannot be written";
        Error::new(ErrorKind::Internal, "accept labels", message).because(cause)
    })
}

/// A file that stays is removed when the outbox is opened the next time.
pub(super) fn remove_files(files: &[PathBuf]) {
    for file in files {
        if let Err(cause) = fs::remove_file(file)
            && cause.kind() != std::io::ErrorKind::NotFound
        {
            log::warn!("could not remove {}: {cause}", file.display());
        }
    }
}

/// What cannot happen unless this program is wrong.
pub(super) fn defect(
    message: &str,
    cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> Error {
    Error::new(ErrorKind::Internal, "keep rows in the outbox", message).because(cause)
}
