//! Where an outbox is, what its files are called, and who may deliver from it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};

pub(crate) const SEGMENTS: &str = "segments";
pub(crate) const DATABASE: &str = "outbox.db";
/// A database that a repair has made, and not yet put in its place.
pub(crate) const REPAIRED: &str = "outbox.repaired.db";
const LOCK: &str = "deliver.lock";

/// The folder of all outboxes of a store.
pub(crate) fn root(store: &Path) -> PathBuf {
    store.join(".driftline").join("outbox")
}

/// The folder of a model's outbox.
///
/// # Errors
/// `InvalidConfig` for a name that cannot be a folder.
pub(crate) fn folder(store: &Path, project: &str, model: &str) -> Result<PathBuf> {
    check_name("project", project)?;
    check_name("model", model)?;
    Ok(root(store).join(project).join(model))
}

fn check_name(what: &'static str, name: &str) -> Result<()> {
    let bad = name.is_empty()
        || name.len() > 255
        || name.starts_with('.')
        || name.contains(['/', '\\'])
        || name.chars().any(char::is_control);
    if !bad {
        return Ok(());
    }
    let message = format!("the {what} name {name:?} cannot be the name of a folder");
    Err(
        Error::new(ErrorKind::InvalidConfig, "open the outbox", message)
            .remedy(format!("give the {what} another name")),
    )
}

/// Whether there is no database: a file without a byte is one that a crash has taken, too.
pub(crate) fn is_lost(database: &Path) -> bool {
    fs::metadata(database).map_or(true, |metadata| metadata.len() == 0)
}

/// Whether a folder has no file of rows.
pub(super) fn is_empty(segments: &Path) -> Result<bool> {
    let failed = |e| Error::io("list the outbox", segments, e);
    for entry in fs::read_dir(segments).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|end| end == "parquet") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The right to deliver from the outbox in a folder, or to change what is delivered; none if another has it.
pub(crate) fn try_lock(folder: &Path) -> Result<Option<File>> {
    let path = folder.join(LOCK);
    let failed = |e| Error::io("lock the outbox", &path, e);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// What is said where another process has that right.
pub(crate) fn busy(folder: &Path) -> Error {
    let message = "another process is delivering from this outbox";
    Error::new(ErrorKind::Resource, "deliver rows", message)
        .with("file", folder.join(LOCK).display())
        .retryable()
        .remedy("wait until it has ended")
}
