//! Moments and time ranges as clients write them.

use std::ops::{Range, RangeInclusive};

use driftline_metrics::BinSize;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::queries::refused;
use crate::http::envelope::{Answer, ApiError};

/// Numbers below it are seconds, others milliseconds: as seconds it is the year 5138, as milliseconds 1973.
const SECONDS: i64 = 100_000_000_000;

/// How far an event may lie ahead of the server's clock: far enough for any clock that is only wrong, and near enough
/// to find the times that stand for `never`, and numbers in another unit.
pub(crate) const YEARS_AHEAD: i64 = 10;
const YEAR_MS: i64 = 31_556_952_000;

/// The times that an event may have at the moment `now`, in milliseconds since 1970.
pub(crate) fn plausible(now: Timestamp) -> RangeInclusive<i64> {
    0..=now.as_millisecond().saturating_add(YEARS_AHEAD * YEAR_MS)
}

/// Which bins a request is about.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct TimeFilter {
    /// From when to when; without it everything.
    pub time_range: Option<TimeRange>,
    /// Only UTC, by one of its names.
    pub time_zone: Option<String>,
    /// Length of the bins; without it a day.
    pub bin_size: Option<String>,
}

/// See [`TimeFilter::time_range`].
#[derive(Debug, Clone, Deserialize)]
pub struct TimeRange {
    start_time: Value,
    end_time: Value,
}

impl TimeFilter {
    /// The range, if there is one, and the size of bins.
    ///
    /// # Errors
    /// 400 for a moment, a size or a time zone that is none.
    pub fn read(&self) -> Answer<(Option<Range<Timestamp>>, BinSize)> {
        let zone = self.time_zone.as_deref().unwrap_or("Etc/GMT");
        if !["Etc/GMT", "Etc/UTC", "GMT", "UTC"].contains(&zone) {
            let message = format!("the time zone `{zone}` is not offered here, only Etc/GMT is");
            return Err(ApiError::bad_request(message));
        }
        let size = match &self.bin_size {
            Some(size) => size.parse().map_err(refused)?,
            None => BinSize::Day,
        };
        let range = self.time_range.as_ref().map(TimeRange::read).transpose()?;
        Ok((range, size))
    }
}

impl TimeRange {
    /// # Errors
    /// 400 for a moment that is none.
    pub fn read(&self) -> Answer<Range<Timestamp>> {
        Ok(moment(&self.start_time)?..moment(&self.end_time)?)
    }
}

/// A moment: seconds or milliseconds since 1970, told apart by their size, or a date and time, in UTC if it does not say
/// otherwise.
///
/// # Errors
/// 400 for anything else.
pub fn moment(value: &Value) -> Answer<Timestamp> {
    let refuse = || ApiError::bad_request(format!("{value} is no date and time"));
    match value {
        Value::Number(number) => {
            let whole = number
                .as_i64()
                .or_else(|| number.as_f64().map(|number| number as i64));
            epoch(whole.ok_or_else(refuse)?)
        }
        Value::String(text) => text_moment(text).ok_or_else(refuse),
        _ => Err(refuse()),
    }
}

/// Like [`moment`], of text.
pub fn text_moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    if let Ok(number) = text.parse::<i64>() {
        return epoch(number).ok();
    }
    let civil: DateTime = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(civil).ok()
}

/// Seconds or milliseconds since 1970, told apart by their size.
///
/// # Errors
/// 400 if the calendar does not have it.
pub fn epoch(number: i64) -> Answer<Timestamp> {
    let moment = if number.abs() < SECONDS {
        Timestamp::from_second(number)
    } else {
        Timestamp::from_millisecond(number)
    };
    moment.map_err(|_| ApiError::bad_request(format!("the calendar has no moment {number}")))
}

/// A moment as clients read it.
pub fn text(moment: Timestamp) -> String {
    format!("{}+00:00", moment.strftime("%Y-%m-%dT%H:%M:%S%.f"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn moments_are_read_in_every_form_that_clients_write() {
        let expected: Timestamp = "2026-11-16T20:05:25Z".parse().unwrap();
        for value in [
            json!("2026-11-16T20:05:25Z"),
            json!("2026-11-16T20:05:25+00:00"),
            json!("2026-11-16T22:05:25+02:00"),
            json!("2026-11-16 20:05:25"),
            json!("2026-11-16 20:05:25.000000"),
            json!(expected.as_second()),
            json!(expected.as_millisecond()),
            json!(expected.as_second() as f64),
            json!(expected.as_second().to_string()),
        ] {
            assert_eq!(moment(&value).unwrap(), expected, "{value}");
        }
        let day: Timestamp = "2026-11-16T00:00:00Z".parse().unwrap();
        assert_eq!(moment(&json!("2026-11-16")).unwrap(), day);
        for value in [json!("yesterday"), json!(null), json!([1]), json!(i64::MAX)] {
            assert_eq!(moment(&value).unwrap_err().status.as_u16(), 400, "{value}");
        }
        assert_eq!(text(expected), "2026-11-16T20:05:25+00:00");
    }

    #[test]
    fn only_utc_and_known_sizes_pass() {
        let filter = |zone: &str, size: &str| TimeFilter {
            time_range: None,
            time_zone: Some(zone.to_owned()),
            bin_size: Some(size.to_owned()),
        };
        assert_eq!(filter("UTC", "Week").read().unwrap(), (None, BinSize::Week));
        for (zone, size) in [("Europe/Berlin", "Day"), ("UTC", "Quarter")] {
            assert_eq!(filter(zone, size).read().unwrap_err().status.as_u16(), 400);
        }
    }
}
