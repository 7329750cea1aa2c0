//! Which image becomes an event on which day.

use std::collections::HashMap;

use driftline_core::{Error, ErrorKind, Result};
use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use crate::calendar::DAY_MS;

/// One event made from an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// Day of the window, from 0.
    pub(crate) day: usize,
    /// Number within the window, unique.
    pub(crate) number: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) timestamp_ms: i64,
}

/// The events of a window: for each day either a sample of its images, or the next stretch of them.
#[derive(Debug)]
pub(crate) struct Schedule {
    start_ms: i64,
    days: usize,
    rows: u64,
    /// For a sampled window: the events of each sampled row.
    sampled: Option<HashMap<u64, Vec<Event>>>,
}

impl Schedule {
    /// Every day publishes a sample of `per_day` of the window's `rows` images, without repetition within the day
    /// and independent between days; a window with fewer images publishes all of them every day. Events are spread
    /// evenly over the day, in the order of the rows.
    pub(crate) fn sampled(
        start_ms: i64,
        days: usize,
        per_day: u64,
        rows: u64,
        seed: u64,
    ) -> Result<Self> {
        let too_many = |_| {
            Error::new(
                ErrorKind::Unsupported,
                "plan window",
                format!("{rows} rows are too many to sample from on this machine"),
            )
        };
        let length = usize::try_from(rows).map_err(too_many)?;
        let amount = usize::try_from(per_day.min(rows)).map_err(too_many)?;
        let mut events: HashMap<u64, Vec<Event>> = HashMap::new();
        for day in 0..days {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(day as u64);
            let mut chosen = index::sample(&mut rng, length, amount).into_vec();
            chosen.sort_unstable();
            for (rank, row) in chosen.into_iter().enumerate() {
                let first = start_ms + day as i64 * DAY_MS;
                events.entry(row as u64).or_default().push(Event {
                    day,
                    number: day as u64 * per_day + rank as u64,
                    timestamp_ms: first + rank as i64 * DAY_MS / amount as i64,
                });
            }
        }
        Ok(Self {
            start_ms,
            days,
            rows,
            sampled: Some(events),
        })
    }

    /// Every image is published once, spread evenly over the days in the order of the rows.
    pub(crate) fn whole(start_ms: i64, days: usize, rows: u64) -> Self {
        Self {
            start_ms,
            days,
            rows,
            sampled: None,
        }
    }

    /// Events of a day, about.
    pub(crate) fn events_per_day(&self) -> u64 {
        let events = self.sampled.as_ref().map_or(self.rows, |rows| {
            rows.values().map(|events| events.len() as u64).sum()
        });
        events / self.days.max(1) as u64
    }

    /// Start of a day in milliseconds since 1970-01-01T00:00:00Z.
    pub(crate) fn day_start_ms(&self, day: usize) -> i64 {
        self.start_ms + day as i64 * DAY_MS
    }

    /// The events of source row `row`, which is below the number of rows of the window.
    pub(crate) fn events(&self, row: u64) -> Vec<Event> {
        match &self.sampled {
            Some(sampled) => sampled.get(&row).cloned().unwrap_or_default(),
            None => {
                let span = self.days as i128 * i128::from(DAY_MS);
                let offset = (i128::from(row) * span / i128::from(self.rows.max(1))) as i64;
                vec![Event {
                    day: (offset / DAY_MS) as usize,
                    number: row,
                    timestamp_ms: self.start_ms + offset,
                }]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(schedule: &Schedule, rows: u64) -> Vec<Event> {
        (0..rows).flat_map(|row| schedule.events(row)).collect()
    }

    #[test]
    fn a_sample_has_the_asked_size_each_day_and_unique_numbers() {
        let schedule = Schedule::sampled(0, 6, 100, 1_000, 7).unwrap();
        let events = all(&schedule, 1_000);
        for day in 0..6 {
            let today: Vec<_> = events.iter().filter(|event| event.day == day).collect();
            assert_eq!(today.len(), 100);
            let start = schedule.day_start_ms(day);
            assert!(
                today
                    .iter()
                    .all(|event| (start..start + DAY_MS).contains(&event.timestamp_ms))
            );
        }
        let numbers: std::collections::BTreeSet<_> =
            events.iter().map(|event| event.number).collect();
        assert_eq!(numbers.len(), 600);
    }

    #[test]
    fn days_differ_and_seeds_differ() {
        let rows_of = |seed, day| -> Vec<u64> {
            let schedule = Schedule::sampled(0, 2, 50, 1_000, seed).unwrap();
            (0..1_000)
                .filter(|row| schedule.events(*row).iter().any(|event| event.day == day))
                .collect()
        };
        assert_eq!(rows_of(1, 0), rows_of(1, 0));
        assert_ne!(rows_of(1, 0), rows_of(1, 1));
        assert_ne!(rows_of(1, 0), rows_of(2, 0));
    }

    #[test]
    fn a_small_window_publishes_all_of_it_every_day() {
        let schedule = Schedule::sampled(0, 3, 100, 10, 7).unwrap();
        assert_eq!(all(&schedule, 10).len(), 30);
    }

    #[test]
    fn a_whole_window_spreads_every_row_over_the_days() {
        let schedule = Schedule::whole(DAY_MS, 4, 10);
        let events = all(&schedule, 10);
        assert_eq!(events.len(), 10);
        assert_eq!(events[0].timestamp_ms, DAY_MS);
        assert!(events.is_sorted_by_key(|event| event.timestamp_ms));
        assert_eq!(events[9].day, 3);
        assert!(events[9].timestamp_ms < 5 * DAY_MS);
    }
}
