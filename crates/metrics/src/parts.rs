//! Part files: what is known of each is kept as long as the file stays the same.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use driftline_core::{Error, MonitorSpec, Result, Rows};
use driftline_sink_local::{Part, PartRows, Section};
use rayon::prelude::*;

use crate::windows::EventWindows;
use crate::{Binning, Summary};

/// A part file and the stamp by which a change of it is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StampedPart {
    pub(crate) path: PathBuf,
    pub(crate) section: Section,
    size: u64,
    changed: Option<SystemTime>,
}

impl StampedPart {
    pub(crate) fn new(part: Part) -> Result<Self> {
        let found = fs::metadata(&part.path)
            .map_err(|cause| Error::io("read the store", &part.path, cause))?;
        Ok(Self {
            path: part.path,
            section: part.section,
            size: found.len(),
            changed: found.modified().ok(),
        })
    }
}

/// Reads a part file batch by batch. Returns why its rows cannot be used, if they cannot: it is damaged, or holds rows
/// of another monitor.
///
/// # Errors
/// Whatever has another cause, `NotFound` if the file is gone.
pub(crate) fn read_rows(
    part: &StampedPart,
    monitor: &MonitorSpec,
    mut each: impl FnMut(&Rows) -> Result<()>,
) -> Result<Option<String>> {
    let (path, section) = (part.path.clone(), part.section);
    let mut reader = PartRows::of(Part { path, section }, monitor.schema.clone());
    for rows in reader.by_ref() {
        each(&rows?)?;
    }
    let damage = reader.damaged().first();
    Ok(damage.map(|damage| damage.reason.clone()))
}

/// What was counted of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    /// Events by the start of their hour, in milliseconds.
    pub(crate) hours: BTreeMap<i64, Summary>,
    /// Rows of the baseline by the name of their window.
    pub(crate) windows: BTreeMap<String, Summary>,
    /// Events by the name of their window.
    pub(crate) event_windows: EventWindows,
    /// Why the rows cannot be used.
    pub(crate) damage: Option<String>,
}

impl Counted {
    fn of(part: &StampedPart, monitor: &MonitorSpec, binning: &Binning) -> Result<Self> {
        let mut counted = Self::default();
        counted.damage = read_rows(part, monitor, |rows| {
            counted.add(part.section, rows, binning)
        })?;
        if counted.damage.is_some() {
            // Half a file is no file.
            counted.hours.clear();
            counted.windows.clear();
            counted.event_windows.clear();
        }
        Ok(counted)
    }

    fn add(&mut self, section: Section, rows: &Rows, binning: &Binning) -> Result<()> {
        match section {
            Section::Baseline => {
                let mut windows: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
                for row in 0..rows.len() {
                    windows
                        .entry(rows.windows().value(row))
                        .or_default()
                        .push(row);
                }
                for (window, chosen) in windows {
                    if !self.windows.contains_key(window) {
                        self.windows
                            .insert(window.to_owned(), Summary::new(binning));
                    }
                    if let Some(summary) = self.windows.get_mut(window) {
                        summary.add(rows, &chosen, binning)?;
                    }
                }
            }
            Section::Events(_) => {
                self.event_windows.add(rows, binning, &mut self.hours)?;
            }
        }
        Ok(())
    }
}

/// What was counted of the files seen so far.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    known: HashMap<PathBuf, (StampedPart, Arc<Counted>)>,
}

impl Cache {
    /// Counts the files that are new or changed, in parallel, and forgets those that are gone. Says whether anything
    /// changed.
    pub(crate) fn update(
        &mut self,
        parts: &[StampedPart],
        monitor: &MonitorSpec,
        binning: &Binning,
    ) -> Result<bool> {
        let known = |part: &StampedPart| self.known.get(&part.path).is_some_and(|(p, _)| p == part);
        let new: Vec<&StampedPart> = parts.iter().filter(|part| !known(part)).collect();
        let counted = new
            .par_iter()
            .map(|part| Counted::of(part, monitor, binning).map(Arc::new))
            .collect::<Result<Vec<_>>>()?;
        let changed = !new.is_empty() || self.known.len() != parts.len();
        let mut next = HashMap::with_capacity(parts.len());
        for (part, counted) in new.into_iter().zip(counted) {
            next.insert(part.path.clone(), (part.clone(), counted));
        }
        for part in parts {
            if !next.contains_key(&part.path)
                && let Some(kept) = self.known.remove(&part.path)
            {
                next.insert(part.path.clone(), kept);
            }
        }
        self.known = next;
        Ok(changed)
    }

    /// What was counted of every file, in no particular order.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &Counted> {
        self.known.values().map(|(_, counted)| counted.as_ref())
    }
}
