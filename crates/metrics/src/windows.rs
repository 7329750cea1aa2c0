//! The windows of the events, by name.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use jiff::Timestamp;

use crate::bins::{HOUR_MS, timestamp, whole_hours};
use crate::{RowCounts, StoredModel};

/// A named stretch of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its name.
    pub name: String,
    /// From its first hour to the end of its last; other windows may have events in between.
    pub times: Range<Timestamp>,
    /// What was counted.
    pub counts: RowCounts,
}

impl StoredModel {
    /// The windows of the events in order of their first hour, then of their names.
    pub fn windows(&self) -> Vec<Window> {
        let mut found: BTreeMap<&str, (i64, i64, RowCounts)> = BTreeMap::new();
        for (name, (hours, counts)) in self.event_windows() {
            let (Some(first), Some(last)) = (hours.first(), hours.last()) else {
                continue;
            };
            found
                .entry(name)
                .and_modify(|(from, to, sum)| {
                    (*from, *to) = ((*from).min(*first), (*to).max(*last));
                    sum.merge(counts);
                })
                .or_insert_with(|| (*first, *last, counts.clone()));
        }
        let mut windows: Vec<Window> = found
            .into_iter()
            .map(|(name, (from, to, counts))| Window {
                name: name.to_owned(),
                times: timestamp(from)..timestamp(to.saturating_add(HOUR_MS)),
                counts,
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

    fn event_windows(&self) -> impl Iterator<Item = (&String, &(BTreeSet<i64>, RowCounts))> {
        self.counted()
            .flat_map(|counted| counted.event_windows.iter())
    }
}
