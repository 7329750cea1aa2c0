//! The windows of the events of one file.

use std::collections::{BTreeMap, BTreeSet};

use driftline_core::{Result, Rows};

use crate::bins::BinSize;
use crate::{Binning, RowCounts};

/// Windows of one file that are told apart. A column that clients fill can hold as many names as there are rows.
const MOST_WINDOWS: usize = 100;

/// Windows of the events of one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventWindows(BTreeMap<String, (BTreeSet<i64>, RowCounts)>);

impl EventWindows {
    /// Counts events by hour and window: adds to the hours in `hours`, and to the windows here as far as they are told
    /// apart.
    pub(crate) fn add(
        &mut self,
        rows: &Rows,
        binning: &Binning,
        hours: &mut BTreeMap<i64, RowCounts>,
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
            let mut counts = RowCounts::new(binning);
            counts.add(rows, &chosen, binning)?;
            hours
                .entry(hour)
                .or_insert_with(|| RowCounts::new(binning))
                .merge(&counts);
            if !told_apart || (self.0.len() >= MOST_WINDOWS && !self.0.contains_key(name)) {
                continue;
            }
            let window = self.0.entry(name.to_owned());
            let (of_window, sum) =
                window.or_insert_with(|| (BTreeSet::new(), RowCounts::new(binning)));
            of_window.insert(hour);
            sum.merge(&counts);
        }
        Ok(())
    }

    /// Each window by its name: the hours with events, and what was counted.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &(BTreeSet<i64>, RowCounts))> {
        self.0.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
