//! Rows of a store that are looked at one by one.

use std::ops::Range;

use arrow_array::Array;
use driftline_core::{Result, Rows};
use driftline_sink_local::{Section, Store};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rayon::prelude::*;
use serde::Serialize;

use crate::Binning;
use crate::bins::timestamp;
use crate::part::{StampedPart, read_rows};

/// Some rows of a store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Selection {
    /// Rows of the baseline section; with a name, only those of that window.
    Baseline(Option<String>),
    /// Events of a time range in milliseconds.
    Events(Range<i64>),
}

impl Selection {
    fn wants(&self, section: Section) -> bool {
        match (self, section) {
            (Self::Baseline(_), Section::Baseline) => true,
            (Self::Events(times), Section::Events(day)) => {
                let date = |ms| -> Date { timestamp(ms).to_zoned_datetime(TimeZone::UTC).date() };
                times.start < times.end && (date(times.start)..=date(times.end - 1)).contains(&day)
            }
            _ => false,
        }
    }

    fn holds(&self, rows: &Rows, row: usize) -> bool {
        match self {
            Self::Baseline(None) => true,
            Self::Baseline(Some(window)) => rows.windows().value(row) == window,
            Self::Events(times) => times.contains(&rows.timestamps_ms()[row]),
        }
    }

    /// Hands the selected rows of every part file to `each`, batch by batch, with the indices of the selected ones; files
    /// are read in parallel, each into a value of its own. The values come in the order of the files. A damaged file is
    /// passed over.
    pub(crate) fn scan<T: Default + Send>(
        &self,
        store: &Store,
        each: impl Fn(&mut T, &Rows, &[usize]) + Sync,
    ) -> Result<Vec<T>> {
        let parts = store
            .parts()?
            .into_iter()
            .filter(|part| self.wants(part.section));
        let parts = parts.map(StampedPart::new).collect::<Result<Vec<_>>>()?;
        let found = parts.par_iter().map(|part| {
            let mut value = T::default();
            let damage = read_rows(part, store.monitor(), |rows| {
                let chosen: Vec<usize> = (0..rows.len())
                    .filter(|row| self.holds(rows, *row))
                    .collect();
                each(&mut value, rows, &chosen);
                Ok(())
            })?;
            Ok(if damage.is_none() {
                value
            } else {
                T::default()
            })
        });
        found.collect()
    }
}

/// What is shown of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ShownRow {
    /// Name of the row.
    pub event_id: String,
    /// When.
    pub timestamp: Timestamp,
    /// Address of the image, empty if there is none.
    pub image_url: String,
    /// Row of the image in its source.
    pub image_number: i64,
    /// True class, where known.
    pub target: Option<String>,
    /// Class with the highest score.
    pub prediction: Option<String>,
    /// Name of the window.
    pub window: String,
}

impl ShownRow {
    pub(crate) fn new(rows: &Rows, row: usize, binning: &Binning) -> Self {
        let targets = rows.targets();
        let mut best: Option<(usize, f32)> = None;
        for class in 0..rows.schema().classes.len() {
            let score = rows.scores(class)[row];
            if best.is_none_or(|(_, greatest)| score > greatest) {
                best = Some((class, score));
            }
        }
        Self {
            event_id: rows.event_ids().value(row).to_owned(),
            timestamp: timestamp(rows.timestamps_ms()[row]),
            image_url: rows.image_urls().value(row).to_owned(),
            image_number: rows.image_numbers()[row],
            target: targets.is_valid(row).then(|| targets.value(row).to_owned()),
            prediction: best.and_then(|(class, _)| binning.classes().get(class).cloned()),
            window: rows.windows().value(row).to_owned(),
        }
    }
}
