//! What is in the outboxes of a store, and who is at the other end.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use driftline_core::{Error, MonitorSpec, Result};
use serde_json::{Map, Value};

use crate::config::Settings;
use crate::note::{self, DAMAGED, DEAD_LETTER};
use crate::outbox::{self, Outbox};
use crate::pace::Stop;
use crate::wire::{self, Server};

/// How an outbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Its folder.
    pub folder: PathBuf,
    /// What its rows are for.
    pub monitor: MonitorSpec,
    /// Rows and labels that are not yet at the server.
    pub queued: u64,
    /// Rows and labels in its dead letters.
    pub dead: u64,
    /// Rows and labels in damaged segments that were moved aside; their ids are forgotten.
    pub damaged: u64,
    /// The files of these segments, or the notes of those that are missing.
    pub damaged_files: Vec<PathBuf>,
}

/// The folders of all outboxes of a store, in the order of project and model. None if it has none.
///
/// # Errors
/// Those of the file system.
pub fn outbox_folders(store: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for project in folders(&outbox::root(store))? {
        found.extend(folders(&project)?);
    }
    Ok(found)
}

/// How the outbox in `folder` is; none if it was never prepared, and so holds nothing.
///
/// # Errors
/// `InvalidData` for an outbox that is damaged, and those of the file system.
pub fn outbox_status(folder: &Path) -> Result<Option<OutboxStatus>> {
    let outbox = Outbox::open(folder)?;
    let Some(monitor) = outbox.monitor()? else {
        return Ok(None);
    };
    let damaged = note::all(&folder.join(DAMAGED))?;
    let file = |noted: &note::Noted| {
        let file = noted.file().filter(|file| file.exists());
        file.unwrap_or_else(|| noted.path.clone())
    };
    Ok(Some(OutboxStatus {
        monitor,
        queued: outbox.queued()?,
        dead: note::rows(&folder.join(DEAD_LETTER))?,
        damaged: damaged.iter().map(note::Noted::rows).sum(),
        damaged_files: damaged.iter().map(file).collect(),
        folder: folder.to_owned(),
    }))
}

/// How the outboxes of a store are, in the order of project and model. None if it has none.
///
/// # Errors
/// `InvalidData` for an outbox that is damaged, and those of the file system.
pub fn outboxes(store: &Path) -> Result<Vec<OutboxStatus>> {
    let folders = outbox_folders(store)?;
    let found = folders.iter().map(|folder| outbox_status(folder));
    found.filter_map(Result::transpose).collect()
}

/// Asks who is at the address in the options of the sink, with the token; nothing is changed there.
///
/// # Errors
/// Those of the configuration; `Unavailable` if the server cannot be reached; `Unsupported` if it is too old.
pub fn reachability(options: &Map<String, Value>) -> Result<Server> {
    let settings = Settings::new(options)?;
    let (_, server) = wire::connect(&settings, &Stop::default())?;
    Ok(server)
}

fn folders(parent: &Path) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("list the outboxes", parent, e);
    let entries = match fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}
