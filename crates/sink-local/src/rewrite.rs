//! Part files that are replaced by others with changed or fewer rows.
//!
//! New files are written under hidden names first; then `rewrite.json` says which file takes the place of which, and
//! from that moment on the new rows count. Whoever takes the lock next completes what a killed process had begun, and
//! readers follow `rewrite.json` until then, so that a row is there once at any time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use driftline_core::{Error, ErrorKind, Result, Rows};
use driftline_rows::{RowsReader, write_atomic, write_named};
use serde::{Deserialize, Serialize};

use crate::layout::{Layout, part_name};
use crate::store::Part;

const STAGED_SUFFIX: &str = ".new";

/// What is being replaced, by paths below the model's folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Journal {
    replaced: Vec<Replacement>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Replacement {
    old: PathBuf,
    /// Without one, no row of `old` is left.
    new: Option<PathBuf>,
}

/// Whether a file name is one that a new part file has before it counts.
pub(crate) fn is_staged(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(STAGED_SUFFIX)
}

fn staged(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}{STAGED_SUFFIX}"))
}

impl Journal {
    /// Reads `rewrite.json`; an empty journal if there is none.
    pub(crate) fn read(layout: &Layout) -> Result<Self> {
        let path = layout.journal();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|cause| {
                Error::new(
                    ErrorKind::InvalidData,
                    "read the store",
                    "the list of files that are being replaced is damaged",
                )
                .with("file", path.display())
                .because(cause)
            }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(e) => Err(Error::io("read the store", &path, e)),
        }
    }

    /// `parts`, as they will be when everything is done.
    pub(crate) fn apply(&self, layout: &Layout, parts: &mut Vec<Part>) {
        for Replacement { old, new } in &self.replaced {
            let old = layout.folder().join(old);
            let Some(at) = parts.iter().position(|part| part.path == old) else {
                continue;
            };
            let section = parts[at].section;
            parts.remove(at);
            let Some(new) = new.as_ref().map(|new| layout.folder().join(new)) else {
                continue;
            };
            if !parts.iter().any(|part| part.path == new) {
                let path = staged(&new);
                parts.insert(at, Part { path, section });
            }
        }
    }

    fn complete(&self, layout: &Layout) -> Result<()> {
        let failed = |path: &Path, e| Error::io("replace a file of the store", path, e);
        for Replacement { old, new } in &self.replaced {
            if let Some(new) = new.as_ref().map(|new| layout.folder().join(new)) {
                let staged = staged(&new);
                match fs::rename(&staged, &new) {
                    Ok(()) => {}
                    // Done before.
                    Err(e) if e.kind() == io::ErrorKind::NotFound && new.is_file() => {}
                    Err(e) => return Err(failed(&new, e)),
                }
            }
            let old = layout.folder().join(old);
            match fs::remove_file(&old) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(&old, e)),
            }
            if let Some(folder) = old.parent() {
                driftline_rows::durable::sync_folder(folder).map_err(|e| failed(folder, e))?;
            }
        }
        let path = layout.journal();
        match fs::remove_file(&path) {
            Ok(()) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(failed(&path, e)),
        }
    }
}

/// Completes what a killed process had begun. The caller holds the lock.
pub(crate) fn complete(layout: &Layout) -> Result<()> {
    Journal::read(layout)?.complete(layout)
}

/// Replaces every one of `parts` whose rows `change`; `None` leaves them as they are. All files change together: what is
/// stopped on the way has changed nothing, or is completed by the next writer. The caller holds the lock.
pub(crate) fn rewrite(
    layout: &Layout,
    parts: &[Part],
    mut change: impl FnMut(&Rows) -> Result<Option<RecordBatch>>,
) -> Result<()> {
    let mut journal = Journal::default();
    for Part { path, .. } in parts {
        let mut changed = false;
        let mut batches = Vec::new();
        let reader = RowsReader::open(path)?;
        let schema = reader.schema().clone();
        for rows in reader {
            let rows = rows?;
            match change(&rows)? {
                Some(batch) => {
                    changed = true;
                    batches.push(batch);
                }
                None => batches.push(rows.batch().clone()),
            }
        }
        if !changed {
            continue;
        }
        let folder = path.parent().unwrap_or(layout.folder());
        let batch = concat_batches(&schema.arrow(), &batches).map_err(defect)?;
        let new = if batch.num_rows() == 0 {
            None
        } else {
            let rows = Rows::new(batch)?;
            let first_id = rows.event_ids().value(0);
            let mut new = PathBuf::new();
            write_named(folder, rows.batch(), |digest| {
                new = folder.join(part_name(first_id, rows.len(), digest));
                staged(&new)
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            })?;
            Some(below(layout, &new))
        };
        journal.replaced.push(Replacement {
            old: below(layout, path),
            new,
        });
    }
    if journal.replaced.is_empty() {
        return Ok(());
    }
    let text = serde_json::to_vec(&journal).map_err(defect)?;
    write_atomic(&layout.journal(), &text)?;
    journal.complete(layout)
}

fn below(layout: &Layout, path: &Path) -> PathBuf {
    path.strip_prefix(layout.folder())
        .unwrap_or(path)
        .to_owned()
}

fn defect(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(
        ErrorKind::Internal,
        "replace a file of the store",
        "the rows could not be put together",
    )
    .because(cause)
}
