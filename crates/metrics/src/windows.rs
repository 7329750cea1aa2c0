//! The windows of the events, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use driftline_core::{Result, Rows};
use jiff::Timestamp;

use crate::bins::{BinSize, HOUR_MS, timestamp, whole_hours};
use crate::{Binning, Monitored, Summary};

/// Windows of one file that are told apart. A column that clients fill can hold as many names as there are rows.
const MOST_WINDOWS: usize = 100;

/// A named stretch of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its name.
    pub name: String,
    /// From its first hour to the end of its last; other windows may have events in between.
    pub times: Range<Timestamp>,
    /// What was counted.
    pub summary: Summary,
}

/// Windows of the events of one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventWindows(BTreeMap<String, (BTreeSet<i64>, Summary)>);

impl EventWindows {
    /// Counts events by hour and window: adds to the hours in `hours`, and to the windows here as far as they are told
    /// apart.
    pub(crate) fn add(
        &mut self,
        rows: &Rows,
        binning: &Binning,
        hours: &mut BTreeMap<i64, Summary>,
    ) -> Result<()> {
        let names: BTreeSet<&str> = rows.windows().iter().flatten().collect();
        let told_apart = names.len() <= MOST_WINDOWS;
        let mut groups: BTreeMap<(i64, &str), Vec<usize>> = BTreeMap::new();
        for (row, ms) in rows.timestamps_ms().iter().enumerate() {
            let name = if told_apart {
                rows.windows().value(row)
            } else {
                ""
            };
            let hour = BinSize::Hour.start_of(*ms);
            groups.entry((hour, name)).or_default().push(row);
        }
        for ((hour, name), chosen) in groups {
            let mut summary = Summary::new(binning);
            summary.add(rows, &chosen, binning)?;
            hours
                .entry(hour)
                .or_insert_with(|| Summary::new(binning))
                .merge(&summary);
            if !told_apart || (self.0.len() >= MOST_WINDOWS && !self.0.contains_key(name)) {
                continue;
            }
            let window = self.0.entry(name.to_owned());
            let (of_window, sum) =
                window.or_insert_with(|| (BTreeSet::new(), Summary::new(binning)));
            of_window.insert(hour);
            sum.merge(&summary);
        }
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Monitored {
    /// The windows of the events in order of their first hour, then of their names.
    pub fn windows(&self) -> Vec<Window> {
        let mut found: BTreeMap<&str, (i64, i64, Summary)> = BTreeMap::new();
        for (name, (hours, summary)) in self.event_windows() {
            let (Some(first), Some(last)) = (hours.first(), hours.last()) else {
                continue;
            };
            found
                .entry(name)
                .and_modify(|(from, to, sum)| {
                    (*from, *to) = ((*from).min(*first), (*to).max(*last));
                    sum.merge(summary);
                })
                .or_insert_with(|| (*first, *last, summary.clone()));
        }
        let mut windows: Vec<Window> = found
            .into_iter()
            .map(|(name, (from, to, summary))| Window {
                name: name.to_owned(),
                times: timestamp(from)..timestamp(to.saturating_add(HOUR_MS)),
                summary,
            })
            .collect();
        windows.sort_by_key(|window| window.times.start);
        windows
    }

    /// Names of the windows that have events in `times`, widened to whole hours.
    pub fn windows_within(&self, times: &Range<Timestamp>) -> Vec<String> {
        let wanted = whole_hours(times);
        let found: BTreeSet<&String> = self
            .event_windows()
            .filter(|(_, (hours, _))| hours.range(wanted.clone()).next().is_some())
            .map(|(name, _)| name)
            .collect();
        found.into_iter().cloned().collect()
    }

    fn event_windows(&self) -> impl Iterator<Item = (&String, &(BTreeSet<i64>, Summary))> {
        self.counted().flat_map(|counted| &counted.event_windows.0)
    }
}
