//! Which bins a request is about.

use std::ops::Range;

use driftline_fiddler_api::v3::{TimeFilter, TimeRange};
use driftline_metrics::BinSize;
use jiff::Timestamp;

use crate::domain::queries::refused;
use crate::domain::times::moment;
use crate::http::envelope::{Answer, ApiError};

/// Names of the one time zone that is offered.
const UTC: [&str; 4] = ["Etc/GMT", "Etc/UTC", "GMT", "UTC"];

/// The time range, if there is one, and the size of bins.
///
/// # Errors
/// 400 for a moment, a size or a time zone that is none.
pub(super) fn bins(filter: &TimeFilter) -> Answer<(Option<Range<Timestamp>>, BinSize)> {
    let zone = filter.time_zone.as_deref().unwrap_or("Etc/GMT");
    if !UTC.contains(&zone) {
        let message = format!("the time zone `{zone}` is not offered here, only Etc/GMT is");
        return Err(ApiError::bad_request(message));
    }
    let size = match &filter.bin_size {
        Some(size) => size.parse().map_err(refused)?,
        None => BinSize::Day,
    };
    let found = filter.time_range.as_ref().map(range).transpose()?;
    Ok((found, size))
}

/// A time range.
///
/// # Errors
/// 400 for a moment that is none.
pub(super) fn range(range: &TimeRange) -> Answer<Range<Timestamp>> {
    Ok(moment(&range.start_time)?..moment(&range.end_time)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_utc_and_known_sizes_pass() {
        let filter = |zone: &str, size: &str| TimeFilter {
            time_range: None,
            time_zone: Some(zone.to_owned()),
            bin_size: Some(size.to_owned()),
        };
        assert_eq!(bins(&filter("UTC", "Week")).unwrap(), (None, BinSize::Week));
        for (zone, size) in [("Europe/Berlin", "Day"), ("UTC", "Quarter")] {
            assert_eq!(bins(&filter(zone, size)).unwrap_err().status.as_u16(), 400);
        }
    }
}
