//! Segments that cannot be read: they are moved aside, and their ids forgotten, so that their rows can be published again
//! and nothing waits for them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use driftline_rows::durable::sync_folder;
use driftline_rows::{RowsReader, create_folder};
use rusqlite::{OptionalExtension, params};

use super::place::SEGMENTS;
use super::state::Outbox;
use crate::batch::{Batch, Kind, Segment, pairs};
use crate::database::Database;
use crate::note::{DAMAGED, Note};

/// A segment that was moved aside.
#[derive(Debug)]
pub(crate) struct Damaged {
    pub(crate) rows: u64,
    pub(crate) reason: String,
    /// The file that says why.
    pub(crate) note: PathBuf,
}

/// What became of the segments of a batch that was not to be read.
#[derive(Debug, Default)]
pub(crate) struct Examined {
    pub(crate) damaged: Vec<Damaged>,
    /// Whether a segment is there that the disk does not give now.
    pub(crate) is_unreadable: bool,
}

impl Outbox {
    /// Reads the segments of a batch and moves those aside that are damaged or missing; the others go back to their
    /// places and are sent without them. A batch that is sound stays as it is.
    pub(crate) fn examine(&mut self, batch: &Batch) -> Result<Examined> {
        let segments = batch.segments.iter();
        let found = segments.filter_map(|segment| Some((segment, fault(segment)?)));
        let found: Vec<_> = found.collect();
        let mut examined = Examined::default();
        for (segment, error) in found {
            if is_damage(&error) {
                let damaged = self.set_aside(batch.kind, segment, &error)?;
                examined.damaged.push(damaged);
            } else {
                examined.is_unreadable = true;
            }
        }
        Ok(examined)
    }

    /// Every segment, with its kind.
    pub(crate) fn segments(&self) -> Result<Vec<(Kind, Segment)>> {
        segments(&self.db, &self.folder.join(SEGMENTS))
    }

    /// Moves a segment aside. Killed at any moment, doing it again completes it.
    pub(crate) fn set_aside(
        &mut self,
        kind: Kind,
        segment: &Segment,
        error: &Error,
    ) -> Result<Damaged> {
        let folder = self.folder.join(DAMAGED);
        create_folder(&folder)?;
        let name = format!("{}-{:08}", kind.name(), segment.seq);
        let note_file = folder.join(format!("{name}.json"));
        let mut reason = error.to_string();
        let moved = match &segment.file {
            Some(file) => {
                let moved = folder.join(format!("{name}.parquet"));
                if !note_file.exists() {
                    self.note_damaged(kind, segment, &name, &reason)?;
                }
                match fs::rename(file, &moved) {
                    Ok(()) => {}
                    // It was moved before, or it is what is missing.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(Error::io("move a damaged segment aside", file, e)),
                }
                for folder in [&folder, &self.folder.join(SEGMENTS)] {
                    let failed = |e| Error::io("move a damaged segment aside", folder, e);
                    sync_folder(folder).map_err(failed)?;
                }
                moved.exists()
            }
            None => {
                self.note_damaged(kind, segment, &name, &reason)?;
                true
            }
        };
        let forgotten = self.db.transaction(|transaction, fail| {
            let sql = "DELETE FROM known WHERE kind = ?1 AND segment = ?2";
            let forgotten = transaction.execute(sql, params![kind.code(), segment.seq]);
            let forgotten = forgotten.map_err(fail)?;
            let sql = "SELECT batch FROM segments WHERE seq = ?1";
            let batch = transaction.query_row(sql, [segment.seq], |row| row.get(0));
            let batch: Option<Option<i64>> = batch.optional().map_err(fail)?;
            for (sql, of) in [
                ("DELETE FROM segments WHERE seq = ?1", Some(segment.seq)),
                (
                    "UPDATE segments SET batch = NULL WHERE batch = ?1",
                    batch.flatten(),
                ),
                ("DELETE FROM batches WHERE id = ?1", batch.flatten()),
            ] {
                transaction.execute(sql, [of]).map_err(fail)?;
            }
            Ok(forgotten as u64)
        })?;
        if !moved {
            reason.push_str("; the file itself is missing");
        }
        if kind != Kind::Labels && forgotten < segment.rows {
            let kept = segment.rows - forgotten;
            reason.push_str(&format!("; {kept} of its event ids stay known"));
        }
        Ok(Damaged {
            rows: segment.rows,
            reason,
            note: note_file,
        })
    }

    fn note_damaged(&self, kind: Kind, segment: &Segment, name: &str, reason: &str) -> Result<()> {
        let monitor = self.monitor().unwrap_or_default();
        let mut note = Note::new(reason, kind, segment.rows, monitor.as_ref());
        note.file = segment.file.as_ref().map(|_| format!("{name}.parquet"));
        note.unreadable.clone_from(&segment.labels);
        note.write(&self.folder.join(DAMAGED), name)?;
        Ok(())
    }
}

/// The segments in a database of any version, with their kinds; their files are in `folder`.
pub(crate) fn segments(database: &Database, folder: &Path) -> Result<Vec<(Kind, Segment)>> {
    let sql = "SELECT seq, kind, rows, file, labels FROM segments ORDER BY seq";
    let read = |row: &rusqlite::Row<'_>| {
        let file: Option<String> = row.get(3)?;
        let segment = Segment {
            seq: row.get(0)?,
            rows: row.get(2)?,
            file: file.map(|file| folder.join(file)),
            labels: row.get(4)?,
        };
        Ok((row.get(1)?, segment))
    };
    let found = database.all(sql, [], read)?;
    let with_kind = |(kind, segment)| Ok((Kind::of(kind)?, segment));
    found.into_iter().map(with_kind).collect()
}

/// What is wrong with a segment, if anything; all of it is read.
pub(crate) fn fault(segment: &Segment) -> Option<Error> {
    match (&segment.file, &segment.labels) {
        (Some(file), _) => {
            let rows = RowsReader::open(file).and_then(|mut reader| {
                reader.try_fold(0, |rows, next| Ok(rows + next?.len() as u64))
            });
            match rows {
                Ok(rows) if rows == segment.rows => None,
                Ok(rows) => {
                    let message =
                        format!("it has {rows} rows where {} were accepted", segment.rows);
                    Some(damaged(&message).with("file", file.display()))
                }
                Err(error) => Some(error),
            }
        }
        (None, Some(text)) => pairs(text).err(),
        (None, None) => Some(damaged("it has neither rows nor labels")),
    }
}

/// Whether this will not pass: the rows are gone from this disk.
pub(crate) fn is_damage(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound)
}

fn damaged(message: &str) -> Error {
    Error::new(ErrorKind::InvalidData, "read the outbox", message)
}
