//! Moments as clients write them.

use std::ops::RangeInclusive;

use driftline_core::Result;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::domain::error;

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

/// A moment: seconds or milliseconds since 1970, told apart by their size, or a date and time, in UTC if it does not say
/// otherwise.
///
/// # Errors
/// `InvalidData` for anything else.
pub fn moment(value: &Value) -> Result<Timestamp> {
    let refuse = || error::invalid(format!("{value} is no date and time"));
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
/// `InvalidData` if the calendar does not have it.
pub fn epoch(number: i64) -> Result<Timestamp> {
    let moment = if number.abs() < SECONDS {
        Timestamp::from_second(number)
    } else {
        Timestamp::from_millisecond(number)
    };
    moment.map_err(|_| error::invalid(format!("the calendar has no moment {number}")))
}

/// A moment as clients read it.
pub fn text(moment: Timestamp) -> String {
    format!("{}+00:00", moment.strftime("%Y-%m-%dT%H:%M:%S%.f"))
}

#[cfg(test)]
mod tests {
    use driftline_core::ErrorKind;
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
            let error = moment(&value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{value}");
        }
        assert_eq!(text(expected), "2026-11-16T20:05:25+00:00");
    }
}
