//! Part files that appear and go together.
//!
//! New files are written under hidden names first; then `rewrite.json` says which files appear and which file takes the
//! place of which, and from that moment on the new rows count. Whoever takes the lock next completes what a killed process
//! had begun, and readers follow `rewrite.json` until then, so that a row is there once at any time.
//!
//! A journal that is done must not come back after a power cut: it would take away files that were written again under
//! their old names. So the folder is synced when `rewrite.json` is gone, and again before the next file appears without a
//! journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use driftline_core::{Error, ErrorKind, Result, Rows};
use driftline_rows::durable::sync_folder;
use driftline_rows::{NamedWriter, create_folder, write_atomic};
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::part::{PartFile, Section, part_name, staged, staged_name, unstaged};

/// What appears and what goes, by paths below the model's folder.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Journal {
    replaced: Vec<Replacement>,
    /// On disk, the digest of the list as JSON, so that a changed bit in a name is no other name. Earlier versions wrote none.
    sha256: Option<String>,
}

/// Several files with the same `new` become one. Where `new` is missing altogether, `old` stays.
#[derive(Debug, Serialize, Deserialize)]
struct Replacement {
    /// Without one, `new` has new rows.
    old: Option<PathBuf>,
    /// Without one, no row of `old` is left.
    new: Option<PathBuf>,
}

impl Journal {
    /// Reads `rewrite.json`; an empty journal if there is none.
    ///
    /// # Errors
    /// `InvalidData` if it is damaged or names something that is not the place of a part file.
    pub(crate) fn read(layout: &Layout) -> Result<Self> {
        let path = layout.journal();
        let damaged = || {
            Error::new(
                ErrorKind::InvalidData,
                "read the store",
                "the list of files that are being replaced is damaged",
            )
            .with("file", path.display())
            .remedy("run `driftline store repair`")
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(e) => return Err(Error::io("read the store", &path, e)),
        };
        let journal: Self = serde_json::from_slice(&bytes).map_err(|e| damaged().because(e))?;
        if journal.sha256.is_some() && journal.sha256 != journal.digest().ok() {
            return Err(damaged());
        }
        let parts = |step: &Replacement| {
            let mut places = step.old.iter().chain(&step.new);
            places.all(|place| Layout::section_of(place).is_some())
        };
        if journal.replaced.iter().all(parts) {
            Ok(journal)
        } else {
            Err(damaged())
        }
    }

    fn digest(&self) -> serde_json::Result<String> {
        serde_json::to_vec(&self.replaced).map(|list| driftline_rows::sha256(&list))
    }

    /// Makes `parts`, those of the sections that `wanted` selects, what they will be when everything is done.
    pub(crate) fn apply(
        &self,
        layout: &Layout,
        wanted: impl Fn(Section) -> bool,
        parts: &mut Vec<PartFile>,
    ) {
        if self.replaced.is_empty() {
            return;
        }
        let mut there: BTreeSet<PathBuf> = parts.iter().map(|part| part.path.clone()).collect();
        let mut gone = BTreeSet::new();
        for Replacement { old, new } in &self.replaced {
            if let Some(new) = new {
                let Some(section) = Layout::section_of(new).filter(|section| wanted(*section))
                else {
                    continue;
                };
                let path = layout.folder().join(new);
                let hidden = staged(&path);
                if !there.contains(&path) && !there.contains(&hidden) {
                    // In this order, because it may get its name meanwhile.
                    let Some(path) = [hidden, path].into_iter().find(|path| path.is_file()) else {
                        continue;
                    };
                    there.insert(path.clone());
                    parts.push(PartFile { path, section });
                }
            }
            gone.extend(old.as_ref().map(|old| layout.folder().join(old)));
        }
        parts.retain(|part| !gone.contains(&part.path));
        parts.sort_by_cached_key(|part| (part.section, unstaged(&part.path)));
    }

    /// New files that are named here and missing, and whether their rows are nowhere else; what they should replace
    /// stays.
    pub(crate) fn missing(&self, layout: &Layout) -> BTreeMap<PathBuf, bool> {
        let mut missing = BTreeMap::new();
        for Replacement { old, new } in &self.replaced {
            let Some(new) = new.as_ref().map(|new| layout.folder().join(new)) else {
                continue;
            };
            if !new.is_file() && !staged(&new).is_file() {
                missing.insert(new, old.is_none());
            }
        }
        missing
    }

    fn complete(&self, layout: &Layout) -> Result<()> {
        if self.replaced.is_empty() {
            return Ok(());
        }
        let failed = |path: &Path, e| Error::io("replace a file of the store", path, e);
        let mut folders = BTreeSet::new();
        let mut changed = |path: &Path| folders.extend(path.parent().map(Path::to_owned));
        for Replacement { old, new } in &self.replaced {
            if let Some(new) = new.as_ref().map(|new| layout.folder().join(new)) {
                match fs::rename(staged(&new), &new) {
                    Ok(()) => {}
                    Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(&new, e)),
                    // Done before.
                    Err(_) if new.is_file() => {}
                    // Old rows are better than none.
                    Err(_) => continue,
                }
                changed(&new);
            }
            if let Some(old) = old.as_ref().map(|old| layout.folder().join(old)) {
                remove(&old).map_err(|e| failed(&old, e))?;
                changed(&old);
            }
        }
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            sync_folder(folder).map_err(|e| failed(folder, e))?;
        }
        let path = layout.journal();
        remove(&path)
            .and_then(|()| sync_folder(layout.folder()))
            .map_err(|e| failed(&path, e))
    }
}

/// Completes what a killed process had begun. The caller holds the lock.
pub(crate) fn complete(layout: &Layout) -> Result<()> {
    Journal::read(layout)?.complete(layout)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// Files that shall appear and go together. Dropped before [`commit`](Self::commit), or when that fails, it leaves
/// everything as it was. The caller holds the lock all the while.
#[derive(Debug)]
pub(crate) struct Change {
    layout: Layout,
    journal: Journal,
    /// New files, by the names that they will have.
    written: BTreeSet<PathBuf>,
}

impl Change {
    pub(crate) fn new(layout: &Layout) -> Self {
        Self {
            layout: layout.clone(),
            journal: Journal::default(),
            written: BTreeSet::new(),
        }
    }

    /// Writes a file of rows under a hidden name, and returns its place; `None` if there are no rows. It has no effect
    /// before [`add`](Self::add) or [`replace`](Self::replace).
    pub(crate) fn write(
        &mut self,
        section: Section,
        batches: impl IntoIterator<Item = Result<RecordBatch>>,
    ) -> Result<Option<PathBuf>> {
        let folder = self.layout.section(section);
        let mut writing: Option<(NamedWriter, String)> = None;
        for batch in batches {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            let (writer, _) = match &mut writing {
                Some(writing) => writing,
                none => {
                    create_folder(&folder)?;
                    let rows = Rows::new(batch.clone())?;
                    let first_id = rows.event_ids().value(0).to_owned();
                    none.insert((NamedWriter::create(&folder, rows.schema())?, first_id))
                }
            };
            writer.write(&batch)?;
        }
        let Some((writer, first_id)) = writing else {
            return Ok(None);
        };
        let rows = writer.rows();
        let mut name = String::new();
        let written = writer.finish(|digest| {
            name = part_name(&first_id, rows, digest);
            staged_name(&name)
        });
        let path = folder.join(name);
        written?;
        self.written.insert(path.clone());
        Ok(Some(path))
    }

    /// A file that was written shall appear.
    pub(crate) fn add(&mut self, new: &Path) {
        let new = Some(self.below(new));
        self.journal.replaced.push(Replacement { old: None, new });
    }

    /// `old` shall go, and `new`, if there is one, appear in its place.
    pub(crate) fn replace(&mut self, old: &Path, new: Option<&Path>) {
        let new = new.map(|new| self.below(new));
        let old = Some(self.below(old));
        self.journal.replaced.push(Replacement { old, new });
    }

    /// A file that was written shall not appear after all.
    pub(crate) fn take_back(&mut self, new: &Path) -> Result<()> {
        let below = self.below(new);
        let steps = &mut self.journal.replaced;
        steps.retain(|step| step.new.as_ref() != Some(&below));
        self.written.remove(new);
        let hidden = staged(new);
        remove(&hidden).map_err(|e| Error::io("replace a file of the store", &hidden, e))
    }

    /// Makes everything appear and go. When this returns, it survives a crash.
    pub(crate) fn commit(mut self) -> Result<()> {
        match self.journal.replaced.as_slice() {
            [] => return Ok(()),
            [
                Replacement {
                    old: None,
                    new: Some(new),
                },
            ] => {
                let new = self.layout.folder().join(new);
                self.publish(&new)?;
            }
            _ => self.write_journal()?,
        }
        // From here on the new rows count. What fails now is completed by the next writer, and readers follow the journal.
        self.written.clear();
        let _ = self.journal.complete(&self.layout);
        Ok(())
    }

    /// One new file needs no journal: its name appears in one step.
    fn publish(&mut self, new: &Path) -> Result<()> {
        let failed = |e| Error::io("write rows", new, e);
        sync_folder(self.layout.folder()).map_err(failed)?;
        let hidden = staged(new);
        fs::rename(&hidden, new).map_err(failed)?;
        let folder = new.parent().unwrap_or(self.layout.folder());
        if let Err(e) = sync_folder(folder) {
            let _ = fs::rename(new, &hidden);
            return Err(failed(e));
        }
        self.journal.replaced.clear();
        Ok(())
    }

    fn write_journal(&mut self) -> Result<()> {
        let folders: BTreeSet<&Path> = self.written.iter().filter_map(|new| new.parent()).collect();
        for folder in folders {
            sync_folder(folder).map_err(|e| Error::io("write rows", folder, e))?;
        }
        self.journal.sha256 = Some(self.journal.digest().map_err(defect)?);
        let text = serde_json::to_vec(&self.journal).map_err(defect)?;
        let path = self.layout.journal();
        write_atomic(&path, &text).inspect_err(|_| {
            // It may be there, and would count.
            let _ = remove(&path).and_then(|()| sync_folder(self.layout.folder()));
        })
    }

    fn below(&self, path: &Path) -> PathBuf {
        path.strip_prefix(self.layout.folder())
            .unwrap_or(path)
            .to_owned()
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        for new in &self.written {
            // Nothing can be done about a failure here, and the name says that the file is a leftover.
            let _ = fs::remove_file(staged(new));
        }
    }
}

fn defect(cause: serde_json::Error) -> Error {
    let message = "the list of files could not be put together";
    Error::new(ErrorKind::Internal, "replace a file of the store", message).because(cause)
}
