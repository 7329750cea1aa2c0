//! Which rows are already in the store, without holding all their ids.
//!
//! The footer of every part file says between which two `event_id`s its ids lie, and a filter in the file says which ids
//! it does not have. Only the files that may hold a given id are read, and of those only the ids.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use driftline_core::{Error, Result, RowSchema};
use driftline_rows::{EventIds, Footer, IdFilter};

use crate::damage::{Damage, Fault, check, set_aside};
use crate::layout::Layout;
use crate::part::PartFile;

/// Bytes of filters that are kept in memory, enough for 8 to 16 million rows; those of further files are read each time.
const FILTER_BYTES: usize = 64 << 20;

/// Part files that are gone and still remembered, before they are forgotten.
const GONE: usize = 1_000;

/// What is known of the part files seen so far.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    known: HashMap<PathBuf, Known>,
    filter_bytes: usize,
}

#[derive(Debug)]
struct Known {
    stamp: Stamp,
    footer: Footer,
    filter: Filter,
    /// Whether the whole file was checked since the stamp was taken.
    checked: bool,
}

#[derive(Debug)]
enum Filter {
    Unread,
    /// The file has none.
    Absent,
    Kept(IdFilter),
}

/// Size and time of change; a file that keeps both is taken for the same file.
type Stamp = (u64, Option<SystemTime>);

/// Rows and bytes of a part file, and what its rows look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size<'c> {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) schema: &'c RowSchema,
}

impl Catalog {
    /// Looks at every file once more than before; those that cannot be used are set aside and returned. The caller
    /// holds the lock.
    pub(crate) fn refresh(
        &mut self,
        layout: &Layout,
        schema: &RowSchema,
        parts: &[PartFile],
    ) -> Result<Vec<Damage>> {
        if self.known.len() > parts.len() + GONE {
            self.known.retain(|path, _| path.exists());
            let filters = self.known.values().map(|known| match &known.filter {
                Filter::Kept(filter) => filter.bytes(),
                Filter::Unread | Filter::Absent => 0,
            });
            self.filter_bytes = filters.sum();
        }
        let mut damaged = Vec::new();
        for PartFile { path, .. } in parts {
            if let Err(fault) = self.look(path, schema) {
                damaged.push(set_aside(layout, path, fault)?);
            }
        }
        Ok(damaged)
    }

    /// Looks at one file, unless it is as it was.
    pub(crate) fn look(&mut self, path: &Path, schema: &RowSchema) -> Result<(), Fault> {
        let stamp = stamp(path)?;
        let known = self.known.get(path);
        if known.is_some_and(|known| known.stamp == stamp) {
            return Ok(());
        }
        self.forget(path);
        let known = Known {
            stamp,
            footer: check(path, schema)?,
            filter: Filter::Unread,
            checked: false,
        };
        self.known.insert(path.to_owned(), known);
        Ok(())
    }

    /// A file that was looked at has another name now.
    pub(crate) fn renamed(&mut self, from: &Path, to: PathBuf) {
        if let Some(known) = self.known.remove(from) {
            self.forget(&to);
            self.known.insert(to, known);
        }
    }

    fn forget(&mut self, path: &Path) {
        if let Some(known) = self.known.remove(path)
            && let Filter::Kept(filter) = known.filter
        {
            self.filter_bytes -= filter.bytes();
        }
    }

    /// What the last look at a file found; `None` if it found no rows of this monitor.
    pub(crate) fn size(&self, path: &Path) -> Option<Size<'_>> {
        let known = self.known.get(path)?;
        Some(Size {
            rows: known.footer.rows,
            bytes: known.stamp.0,
            schema: &known.footer.schema,
        })
    }

    /// Those of `sorted`, `event_id`s in byte order, that a file may hold.
    pub(crate) fn candidates<'i>(&mut self, path: &Path, sorted: &[&'i str]) -> Vec<&'i str> {
        let Some(known) = self.known.get_mut(path) else {
            return Vec::new();
        };
        let within = within(&known.footer, sorted);
        if within.is_empty() {
            return Vec::new();
        }
        let mut passing = None;
        if matches!(known.filter, Filter::Unread) {
            // A filter that cannot be read rules nothing out; reading the rows then finds what is wrong.
            let digest = known.footer.digest.as_deref();
            let read = digest.and_then(|_| IdFilter::read(path, digest).ok().flatten());
            match read {
                Some(filter) if self.filter_bytes + filter.bytes() <= FILTER_BYTES => {
                    self.filter_bytes += filter.bytes();
                    known.filter = Filter::Kept(filter);
                }
                Some(filter) => passing = Some(filter),
                None => known.filter = Filter::Absent,
            }
        }
        let filter = match &known.filter {
            Filter::Kept(filter) => Some(filter),
            Filter::Unread | Filter::Absent => passing.as_ref(),
        };
        let held = |id: &&&str| filter.is_none_or(|filter| filter.may_contain(id));
        within.iter().filter(held).copied().collect()
    }

    /// Removes from `ids` those that `parts` already hold. A file that turns out to be damaged holds nothing; it is set
    /// aside and returned. The caller holds the lock and has refreshed.
    pub(crate) fn remove_known(
        &mut self,
        layout: &Layout,
        parts: &[PartFile],
        ids: &mut HashSet<&str>,
    ) -> Result<Vec<Damage>> {
        let mut sorted: Vec<&str> = ids.iter().copied().collect();
        sorted.sort_unstable();
        let mut damaged = Vec::new();
        for PartFile { path, .. } in parts {
            let candidates = self.candidates(path, &sorted);
            let candidates: HashSet<&str> = candidates
                .into_iter()
                .filter(|id| ids.contains(id))
                .collect();
            if candidates.is_empty() {
                continue;
            }
            match self.ids_in(path, &candidates) {
                Ok(found) => {
                    for id in found {
                        ids.remove(id);
                    }
                }
                Err(error) => {
                    self.forget(path);
                    damaged.push(set_aside(layout, path, Fault::from(error))?);
                }
            }
        }
        Ok(damaged)
    }

    /// Those of `ids` that the file holds. Before one counts, the whole file has been checked.
    fn ids_in<'i>(&mut self, path: &Path, ids: &HashSet<&'i str>) -> Result<Vec<&'i str>> {
        let found = matching(EventIds::peek(path)?, ids)?;
        let checked = self.known.get(path).is_some_and(|known| known.checked);
        if found.is_empty() || checked {
            return Ok(found);
        }
        let found = matching(EventIds::open(path)?, ids)?;
        if let Some(known) = self.known.get_mut(path) {
            known.checked = true;
        }
        Ok(found)
    }
}

fn stamp(path: &Path) -> Result<Stamp> {
    let found = fs::metadata(path).map_err(|e| Error::io("read the store", path, e))?;
    Ok((found.len(), found.modified().ok()))
}

/// The ids between the least and the greatest one of a file.
fn within<'s, 'i>(footer: &Footer, sorted: &'s [&'i str]) -> &'s [&'i str] {
    let Some((least, greatest)) = &footer.event_ids else {
        return if footer.rows > 0 { sorted } else { &[] };
    };
    let first = sorted.partition_point(|id| id.as_bytes() < least.as_slice());
    let rest = sorted.get(first..).unwrap_or_default();
    let count = rest.partition_point(|id| id.as_bytes() <= greatest.as_slice());
    rest.get(..count).unwrap_or_default()
}

fn matching<'i>(batches: EventIds, ids: &HashSet<&'i str>) -> Result<Vec<&'i str>> {
    let mut found = Vec::new();
    for batch in batches {
        let batch = batch?;
        found.extend(batch.iter().flatten().filter_map(|id| ids.get(id).copied()));
    }
    Ok(found)
}
