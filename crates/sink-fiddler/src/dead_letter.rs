//! Dead letters: rows that the server did not take, with its reason, for a person to read.

use std::fs;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, MonitorSpec, Result};
use driftline_rows::{RowsWriter, create_folder, write_atomic};
use serde::{Deserialize, Serialize};

use crate::batch::{Batch, Kind};

const FOLDER: &str = "dead-letter";

/// What stands beside the rows.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    /// What the server said.
    reason: String,
    /// `baseline`, `events` or `labels`.
    kind: String,
    rows: u64,
    project: Option<String>,
    model: Option<String>,
    /// The server's job, if it came that far.
    job: Option<String>,
    /// Name of the Parquet file with the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// Event ids and classes, if these are labels.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    labels: Vec<(String, String)>,
}

/// Writes the batch and the reason below `outbox`, and returns the note. Doing it again changes nothing.
pub(crate) fn write(
    outbox: &Path,
    batch: &Batch,
    monitor: Option<&MonitorSpec>,
    reason: &str,
) -> Result<PathBuf> {
    let folder = outbox.join(FOLDER);
    create_folder(&folder)?;
    let name = format!("{}-{:08}", batch.kind.name(), batch.id);
    let mut file = None;
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
            file = Some(rows_file);
        }
    }
    let labels = batch.labels()?;
    let note = Note {
        reason: reason.to_owned(),
        kind: batch.kind.name().to_owned(),
        rows: batch.rows,
        project: monitor.map(|monitor| monitor.project.clone()),
        model: monitor.map(|monitor| monitor.model.clone()),
        job: batch.job.clone(),
        file,
        labels: labels.into_iter().map(|l| (l.event_id, l.target)).collect(),
    };
    let text = serde_json::to_string_pretty(&note).map_err(|cause| {
        let message = "the note could not be written";
        Error::new(ErrorKind::Internal, "write dead letters", message).because(cause)
    })?;
    let path = folder.join(format!("{name}.json"));
    write_atomic(&path, text.as_bytes())?;
    Ok(path)
}

/// Rows in the dead letters below `outbox`; who has dealt with some removes their files.
pub(crate) fn count(outbox: &Path) -> Result<u64> {
    let folder = outbox.join(FOLDER);
    let failed = |e| Error::io("read dead letters", &folder, e);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(failed(e)),
    };
    let mut rows = 0;
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            let text = fs::read_to_string(&path).map_err(failed)?;
            // A note that a person has edited still stands for something.
            rows += serde_json::from_str::<Note>(&text).map_or(1, |note| note.rows);
        }
    }
    Ok(rows)
}
