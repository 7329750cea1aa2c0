//! Which bins a request is about.

use std::ops::Range;

use driftline_core::Result;
use driftline_fiddler_api::v3::{TimeFilter, TimeRange};
use driftline_metrics::BinSize;
use jiff::Timestamp;

use crate::domain::error::{self, refused};
use crate::domain::times::moment;

/// Names of the one time zone that is offered.
const UTC: [&str; 4] = ["Etc/GMT", "Etc/UTC", "GMT", "UTC"];

/// The time range, if there is one, and the size of bins.
///
/// # Errors
/// `InvalidData` for a moment, a size or a time zone that is none.
pub(super) fn bins(filter: &TimeFilter) -> Result<(Option<Range<Timestamp>>, BinSize)> {
    let zone = filter.time_zone.as_deref().unwrap_or("Etc/GMT");
    if !UTC.contains(&zone) {
        let message = format!("the time zone `{zone}` is not offered here, only Etc/GMT is");
        return Err(error::invalid(message));
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
/// `InvalidData` for a moment that is none.
pub(super) fn range(range: &TimeRange) -> Result<Range<Timestamp>> {
    Ok(moment(&range.start_time)?..moment(&range.end_time)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::error::told;

    #[test]
    fn only_utc_and_known_sizes_pass() {
        let filter = |zone: &str, size: &str| TimeFilter {
            time_range: None,
            time_zone: Some(zone.to_owned()),
            bin_size: Some(size.to_owned()),
        };
        assert_eq!(bins(&filter("UTC", "Week")).unwrap(), (None, BinSize::Week));
        for (zone, size) in [("Europe/Berlin", "Day"), ("UTC", "Quarter")] {
            let error = bins(&filter(zone, size)).unwrap_err();
            assert_eq!(told(&error).reason, "BadRequest");
        }
    }
}
