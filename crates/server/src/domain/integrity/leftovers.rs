//! Uploads that nothing names.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use driftline_core::{Error, Finding, Result};
use uuid::Uuid;

use crate::domain::retention::Retention;
use crate::domain::uploads::Name;

/// Files among the uploads that nothing names and that have not changed for as long as a server keeps them.
pub(super) fn leftovers(folder: &Path, owned: &HashSet<Uuid>) -> Result<Vec<PathBuf>> {
    let failed = |e| Error::io("check the folder of uploads", folder, e);
    // Their clients may still be about to name them.
    let patience = Retention::default().uploads_for;
    let mut found = Vec::new();
    if !folder.exists() {
        return Ok(found);
    }
    for entry in folder.read_dir().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let named = match Name::of(&entry.file_name().to_string_lossy()) {
            Name::Upload(id) => owned.contains(&id),
            Name::Half => false,
            Name::Foreign => true,
        };
        let changed = entry.metadata().and_then(|about| about.modified());
        let age = changed
            .ok()
            .and_then(|changed| SystemTime::now().duration_since(changed).ok());
        if !named && age.is_some_and(|age| age > patience) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

pub(super) fn leftover(path: PathBuf) -> Finding {
    Finding {
        path,
        problem: "no document, data set or job names this upload".to_owned(),
        rows_lost: Some(0),
        repair: "it is removed; it was never published".to_owned(),
        repaired: false,
    }
}
