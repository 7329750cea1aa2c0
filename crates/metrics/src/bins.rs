//! Stretches of time.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use driftline_core::{Error, ErrorKind, Result};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::RowCounts;

pub(crate) const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// 1970-01-05T00:00:00Z, the first Monday of the calendar.
const MONDAY_MS: i64 = 4 * DAY_MS;

/// Length of the bins that time is cut into, in UTC. A bin is labelled by its start and does not contain its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BinSize {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// Seven days from Monday.
    Week,
    /// Thirty days; the first such month began at 1970-01-01.
    Month,
}

impl BinSize {
    /// Every size, the shortest first.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// Its name, as in Fiddler's API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hour => "Hour",
            Self::Day => "Day",
            Self::Week => "Week",
            Self::Month => "Month",
        }
    }

    /// Length in milliseconds.
    pub fn milliseconds(self) -> i64 {
        match self {
            Self::Hour => HOUR_MS,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
            Self::Month => 30 * DAY_MS,
        }
    }

    /// Start of the bin that holds `ms`, both in milliseconds since 1970-01-01T00:00:00Z.
    pub fn start_of(self, ms: i64) -> i64 {
        let origin = if self == Self::Week { MONDAY_MS } else { 0 };
        let length = self.milliseconds();
        ms.saturating_sub(origin).div_euclid(length) * length + origin
    }
}

impl fmt::Display for BinSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BinSize {
    type Err = Error;

    /// Case does not matter.
    fn from_str(text: &str) -> Result<Self> {
        let found = Self::ALL
            .into_iter()
            .find(|size| size.name().eq_ignore_ascii_case(text));
        found.ok_or_else(|| {
            let message = format!("there is no bin size `{text}`");
            Error::new(ErrorKind::InvalidConfig, "read a bin size", message).remedy(format!(
                "available: {}",
                Self::ALL.map(Self::name).join(", ")
            ))
        })
    }
}

/// The rows of a stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bin {
    /// First moment.
    pub start: Timestamp,
    /// First moment after it.
    pub end: Timestamp,
    /// What was counted.
    pub counts: RowCounts,
}

/// The moment, or the nearest one that the calendar has.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    let limit = if ms < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_millisecond(ms).unwrap_or(limit)
}

/// The whole hours that `times` touches, in milliseconds.
pub(crate) fn whole_hours(times: &Range<Timestamp>) -> Range<i64> {
    let end = times.end.as_millisecond();
    BinSize::Hour.start_of(times.start.as_millisecond())..BinSize::Hour.start_of(end + HOUR_MS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_start_at_hours_midnights_mondays_and_every_thirtieth_day() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap().as_millisecond();
        let thursday = at("2026-11-26T13:59:59.999Z");
        for (size, start) in [
            (BinSize::Hour, "2026-11-26T13:00:00Z"),
            (BinSize::Day, "2026-11-26T00:00:00Z"),
            (BinSize::Week, "2026-11-23T00:00:00Z"),
            (BinSize::Month, "2026-11-03T00:00:00Z"),
        ] {
            assert_eq!(size.start_of(thursday), at(start), "{size}");
            assert_eq!(size.start_of(at(start)), at(start), "{size}");
            assert_eq!(
                size.start_of(at(start) - 1),
                at(start) - size.milliseconds()
            );
        }
        assert_eq!(BinSize::Day.start_of(-1), -DAY_MS);
        assert_eq!("day".parse::<BinSize>().unwrap(), BinSize::Day);
        let error = "Decade".parse::<BinSize>().unwrap_err().to_string();
        assert!(
            error.contains("available: Hour, Day, Week, Month"),
            "{error}"
        );
    }

    #[test]
    fn a_range_is_widened_to_whole_hours() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let hours = whole_hours(&(at("2026-01-01T10:30:00Z")..at("2026-01-01T11:00:01Z")));
        let expected = at("2026-01-01T10:00:00Z")..at("2026-01-01T12:00:00Z");
        assert_eq!(hours, whole_hours(&expected));
        assert_eq!(hours.start, expected.start.as_millisecond());
        assert_eq!(hours.end, expected.end.as_millisecond());
    }
}
