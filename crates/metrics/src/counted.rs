//! What was counted of the part files: kept as long as a file stays the same.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use driftline_core::{MonitorSpec, Result, Rows};
use driftline_sink_local::Section;
use rayon::prelude::*;

use crate::event_windows::EventWindows;
use crate::part::{StampedPart, read_rows};
use crate::{Binning, RowCounts};

/// What was counted of a file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counted {
    /// Events by the start of their hour, in milliseconds.
    pub(crate) hours: BTreeMap<i64, RowCounts>,
    /// Rows of the baseline by the name of their window.
    pub(crate) windows: BTreeMap<String, RowCounts>,
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
                            .insert(window.to_owned(), RowCounts::new(binning));
                    }
                    if let Some(counts) = self.windows.get_mut(window) {
                        counts.add(rows, &chosen, binning)?;
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
pub(crate) struct CountedFiles {
    known: HashMap<PathBuf, (StampedPart, Arc<Counted>)>,
}

impl CountedFiles {
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
