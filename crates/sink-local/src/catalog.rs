//! Which rows are already in the store, without holding all their ids.
//!
//! The footer of every part file says between which two `event_id`s its ids lie. The ids of one run are consecutive, so
//! few files can hold a given id, and only those are read.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use driftline_core::{Error, Result, RowSchema};
use driftline_rows::{EventIds, Footer};

use crate::damage::{Damage, Fault, check, set_aside};
use crate::layout::Layout;
use crate::store::Part;

/// Footers of the part files seen so far.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    known: HashMap<PathBuf, Known>,
}

#[derive(Debug)]
struct Known {
    stamp: Stamp,
    footer: Footer,
}

/// Size and time of change; a file that keeps both is taken for the same file.
type Stamp = (u64, Option<SystemTime>);

impl Catalog {
    /// Looks at every file once more than before; those that cannot be used are set aside and returned. The caller
    /// holds the lock.
    pub(crate) fn refresh(
        &mut self,
        layout: &Layout,
        schema: &RowSchema,
        parts: &[Part],
    ) -> Result<Vec<Damage>> {
        let mut damaged = Vec::new();
        for Part { path, .. } in parts {
            let stamp = stamp(path)?;
            if self
                .known
                .get(path)
                .is_some_and(|known| known.stamp == stamp)
            {
                continue;
            }
            self.known.remove(path);
            match check(path, schema) {
                Ok(footer) => {
                    self.known.insert(path.clone(), Known { stamp, footer });
                }
                Err(fault) => damaged.push(set_aside(layout, path, fault)?),
            }
        }
        Ok(damaged)
    }

    /// Whether the last look at a file found rows of this monitor.
    pub(crate) fn is_usable(&self, part: &Part) -> bool {
        self.known.contains_key(&part.path)
    }

    /// Whether a file may hold one of `sorted`, `event_id`s in byte order.
    pub(crate) fn may_hold_any(&self, part: &Part, sorted: &[&str]) -> bool {
        self.known
            .get(&part.path)
            .is_some_and(|known| may_contain_any(&known.footer, sorted))
    }

    /// Removes from `ids` those that `parts` already hold. A file that turns out to be damaged holds nothing; it is set
    /// aside and returned. The caller holds the lock and has refreshed.
    pub(crate) fn remove_known(
        &mut self,
        layout: &Layout,
        parts: &[Part],
        ids: &mut HashSet<&str>,
    ) -> Result<Vec<Damage>> {
        let mut sorted: Vec<&str> = ids.iter().copied().collect();
        sorted.sort_unstable();
        let mut damaged = Vec::new();
        for Part { path, .. } in parts {
            let Some(known) = self.known.get(path) else {
                continue;
            };
            if !may_contain_any(&known.footer, &sorted) {
                continue;
            }
            match ids_in(path, ids) {
                Ok(found) => {
                    for id in found {
                        ids.remove(id);
                    }
                }
                Err(error) => {
                    self.known.remove(path);
                    damaged.push(set_aside(layout, path, Fault::from(error))?);
                }
            }
        }
        Ok(damaged)
    }
}

fn stamp(path: &Path) -> Result<Stamp> {
    let found = fs::metadata(path).map_err(|e| Error::io("read the store", path, e))?;
    Ok((found.len(), found.modified().ok()))
}

fn may_contain_any(footer: &Footer, sorted: &[&str]) -> bool {
    let Some((least, greatest)) = &footer.event_ids else {
        return footer.rows > 0;
    };
    let first = sorted.partition_point(|id| id.as_bytes() < least.as_slice());
    sorted
        .get(first)
        .is_some_and(|id| id.as_bytes() <= greatest.as_slice())
}

/// Those of `ids` that the file holds, once the whole file has been read.
fn ids_in<'a>(path: &Path, ids: &HashSet<&'a str>) -> Result<Vec<&'a str>> {
    let mut found = Vec::new();
    for batch in EventIds::open(path)? {
        let batch = batch?;
        found.extend(batch.iter().flatten().filter_map(|id| ids.get(id).copied()));
    }
    Ok(found)
}
