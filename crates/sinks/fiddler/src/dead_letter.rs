//! Dead letters: rows that the server did not take, with its reason, for a person to read.

use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, MonitorSpec, Result};
use driftline_rows::{RowsWriter, create_folder};

use crate::batch::{Batch, Kind};
use crate::note::{self, DEAD_LETTER, Note};

/// Dead letters of one outbox, at most. What the server refuses beyond them stays in the queue.
pub(crate) const MOST: usize = 1_000;

/// Writes the batch and the reason below `outbox`, and returns the note. Doing it again changes nothing.
///
/// # Errors
/// `InvalidData` if there are [`MOST`] already.
pub(crate) fn write(
    outbox: &Path,
    batch: &Batch,
    monitor: Option<&MonitorSpec>,
    reason: &str,
) -> Result<PathBuf> {
    let folder = outbox.join(DEAD_LETTER);
    create_folder(&folder)?;
    let name = format!("{}-{:08}", batch.kind.name(), batch.id);
    let notes = note::all(&folder)?;
    if notes.len() >= MOST && !notes.iter().any(|noted| noted.name == name) {
        return Err(full(&folder, reason));
    }
    let mut note = Note::new(reason, batch.kind, batch.rows, monitor);
    note.job.clone_from(&batch.job);
    if batch.kind != Kind::Labels {
        let rows_file = format!("{name}.parquet");
        let mut writer = None;
        for rows in batch.read() {
            let rows = rows?;
            let writer = match &mut writer {
                Some(writer) => writer,
                None => writer.insert(RowsWriter::create(&folder.join(&rows_file), rows.schema())?),
            };
            writer.write(rows.batch())?;
        }
        if let Some(writer) = writer {
            writer.finish()?;
            note.file = Some(rows_file);
        }
    }
    let labels = batch.labels()?.into_iter();
    note.labels = labels.map(|l| (l.event_id, l.target)).collect();
    note.write(&folder, &name)
}

/// What is said where no further dead letter is kept.
fn full(folder: &Path, reason: &str) -> Error {
    let message = format!(
        "these rows would be a dead letter, and there are {MOST} already, so they stay in the queue"
    );
    Error::new(ErrorKind::InvalidData, "write dead letters", message)
        .with("folder", folder.display())
        .because(reason)
        .remedy("remove the files of dead letters, or send them again with `driftline sink retry`")
}
