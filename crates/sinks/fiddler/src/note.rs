//! Rows that were taken out of the queue and wait for a person, each lot with a note that says why.
//!
//! `dead-letter/` has what the server did not take, or what the user gave up; `damaged/` has segments that cannot be read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, MonitorSpec, Result};
use driftline_rows::{create_folder, write_atomic};
use serde::{Deserialize, Serialize};

use crate::batch::Kind;

/// Folder of the dead letters in an outbox.
pub(crate) const DEAD_LETTER: &str = "dead-letter";
/// Folder of the damaged segments in an outbox.
pub(crate) const DAMAGED: &str = "damaged";

/// What stands beside the rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Note {
    /// Why they are here.
    pub(crate) reason: String,
    /// `baseline`, `events` or `labels`.
    pub(crate) kind: String,
    pub(crate) rows: u64,
    pub(crate) project: Option<String>,
    pub(crate) model: Option<String>,
    /// The server's job, if it came that far.
    pub(crate) job: Option<String>,
    /// Name of the file with the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<String>,
    /// Event ids and classes, if these are labels.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) labels: Vec<(String, String)>,
    /// Labels that cannot be read, as they are.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) unreadable: Option<String>,
}

impl Note {
    pub(crate) fn new(reason: &str, kind: Kind, rows: u64, monitor: Option<&MonitorSpec>) -> Self {
        Self {
            reason: reason.to_owned(),
            kind: kind.name().to_owned(),
            rows,
            project: monitor.map(|monitor| monitor.project.clone()),
            model: monitor.map(|monitor| monitor.model.clone()),
            job: None,
            file: None,
            labels: Vec::new(),
            unreadable: None,
        }
    }

    /// Writes the note `name` into `folder`, and returns its path. Doing it again changes nothing.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> Result<PathBuf> {
        create_folder(folder)?;
        let text = serde_json::to_string_pretty(self).map_err(|cause| {
            let message = "the note could not be written";
            Error::new(ErrorKind::Internal, "set rows aside", message).because(cause)
        })?;
        let path = folder.join(format!("{name}.json"));
        write_atomic(&path, text.as_bytes())?;
        Ok(path)
    }
}

/// A note that was found.
#[derive(Debug)]
pub(crate) struct Noted {
    /// Its file's name without the end.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// `None` if a person has edited it so that it cannot be read any more.
    pub(crate) note: Option<Note>,
}

impl Noted {
    /// Rows that it stands for; one that cannot be read still stands for something.
    pub(crate) fn rows(&self) -> u64 {
        self.note.as_ref().map_or(1, |note| note.rows)
    }

    /// The file beside it, if it names one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let file = self.note.as_ref()?.file.as_ref()?;
        // A note that was edited may name any path; only files beside it are ours.
        let name = Path::new(file).file_name()?;
        Some(self.path.with_file_name(name))
    }

    /// The number at the end of the name: of a batch or a segment.
    pub(crate) fn number(&self) -> i64 {
        let number = self.name.rsplit('-').next().unwrap_or_default();
        number.parse().unwrap_or(0)
    }
}

/// The notes in `folder`, in the order of their names; none if it is not there.
pub(crate) fn all(folder: &Path) -> Result<Vec<Noted>> {
    let failed = |e| Error::io("read what was set aside", folder, e);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        let (true, Some(name)) = (path.extension().is_some_and(|end| end == "json"), name) else {
            continue;
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            // A person has removed it meanwhile.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) if e.kind() == io::ErrorKind::InvalidData => String::new(),
            Err(e) => return Err(failed(e)),
        };
        found.push(Noted {
            name: name.to_owned(),
            note: serde_json::from_str(&text).ok(),
            path,
        });
    }
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Rows that the notes in `folder` stand for; who has dealt with some removes their files.
pub(crate) fn rows(folder: &Path) -> Result<u64> {
    Ok(all(folder)?.iter().map(Noted::rows).sum())
}
