//! Which bins a request is about.

use std::ops::Range;

use driftline_core::Result;
use driftline_metrics::BinSize;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::domain::error::{self, refused};
use crate::domain::times::moment;

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
    /// `InvalidData` for a moment, a size or a time zone that is none.
    pub fn read(&self) -> Result<(Option<Range<Timestamp>>, BinSize)> {
        let zone = self.time_zone.as_deref().unwrap_or("Etc/GMT");
        if !["Etc/GMT", "Etc/UTC", "GMT", "UTC"].contains(&zone) {
            let message = format!("the time zone `{zone}` is not offered here, only Etc/GMT is");
            return Err(error::invalid(message));
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
    /// `InvalidData` for a moment that is none.
    pub fn read(&self) -> Result<Range<Timestamp>> {
        Ok(moment(&self.start_time)?..moment(&self.end_time)?)
    }
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
        assert_eq!(filter("UTC", "Week").read().unwrap(), (None, BinSize::Week));
        for (zone, size) in [("Europe/Berlin", "Day"), ("UTC", "Quarter")] {
            let error = filter(zone, size).read().unwrap_err();
            assert_eq!(told(&error).reason, "BadRequest");
        }
    }
}
