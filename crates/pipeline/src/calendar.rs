//! Days and windows in time.

use driftline_core::{Error, ErrorKind, Result};
use jiff::Timestamp;

/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// Days from the start of one window to the start of the next.
const WINDOW_DAYS: i64 = 7;

/// Where a window starts, in milliseconds since 1970-01-01T00:00:00Z: at `start`, or so many weeks before the day of `now`.
pub(crate) fn window_start_ms(
    start: Option<Timestamp>,
    now: Timestamp,
    weeks_before: usize,
) -> i64 {
    match start {
        Some(start) => start.as_millisecond(),
        None => {
            let now = now.as_millisecond();
            now - now.rem_euclid(DAY_MS) - weeks_before as i64 * WINDOW_DAYS * DAY_MS
        }
    }
}

/// The moment `ms` milliseconds after 1970-01-01T00:00:00Z.
pub(crate) fn timestamp(ms: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(ms).map_err(|cause| {
        Error::new(
            ErrorKind::InvalidConfig,
            "plan window",
            "the calendar is out of range",
        )
        .because(cause)
        .remedy("choose another `now` or `start`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_without_a_start_begins_whole_weeks_before_today() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let start = |start, weeks| {
            let now = at("2026-11-24T17:30:00Z");
            timestamp(window_start_ms(start, now, weeks)).unwrap()
        };
        assert_eq!(start(None, 1), at("2026-11-17T00:00:00Z"));
        assert_eq!(start(None, 3), at("2026-11-03T00:00:00Z"));
        let given = at("2026-01-05T00:00:00Z");
        assert_eq!(start(Some(given), 3), given);
    }
}
