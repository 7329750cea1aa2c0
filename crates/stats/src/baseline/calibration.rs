//! False-alarm rates measured on clean windows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Statistic;

/// Windows without drift that are drawn from rows, each beside a baseline of other ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanWindows {
    /// Rows of each baseline.
    pub baseline_rows: usize,
    /// Rows of each window.
    pub window_rows: usize,
    /// How many windows.
    pub windows: usize,
    /// Whether baseline and windows are rows as they follow each other, so that it shows what their order does to the check, or
    /// any rows. Those that depend on each other (a block above 1) always follow each other.
    pub consecutive: bool,
}

/// False-alarm rates measured on clean windows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// How the windows were drawn.
    #[serde(flatten)]
    pub clean_windows: CleanWindows,
    /// The significance level: the share of windows that each may call drifted.
    #[serde(alias = "promised")]
    pub alpha: f64,
    /// Of each statistic.
    pub statistics: BTreeMap<Statistic, FalseAlarms>,
    /// Of the check of all of them together.
    pub check: FalseAlarms,
}

/// False alarms over clean windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FalseAlarms {
    /// Share of windows that were called drifted.
    pub rate: f64,
    /// Standard error of the rate.
    #[serde(alias = "error")]
    pub standard_error: f64,
    /// Kolmogorov-Smirnov distance between the p-values and the uniform distribution, 0..=1; without any windows that were
    /// tested, 0.
    #[serde(alias = "uniformity")]
    pub ks_distance: f64,
    /// Share of windows that had too few rows to be tested.
    #[serde(alias = "unanswered")]
    pub not_enough_rows: f64,
}

impl FalseAlarms {
    pub(super) fn of(p_values: impl Iterator<Item = Option<f64>>, alpha: f64) -> Self {
        let all: Vec<Option<f64>> = p_values.collect();
        let mut p_values: Vec<f64> = all.iter().flatten().copied().collect();
        p_values.sort_by(f64::total_cmp);
        let n = p_values.len() as f64;
        let rate = p_values.partition_point(|p| *p <= alpha) as f64 / n.max(1.0);
        let distance = p_values.iter().enumerate().map(|(at, p)| {
            let (before, after) = (at as f64 / n, (at + 1) as f64 / n);
            (p - before).abs().max((after - p).abs())
        });
        Self {
            rate,
            standard_error: (rate * (1.0 - rate) / n.max(1.0)).sqrt(),
            ks_distance: distance.fold(0.0, f64::max),
            not_enough_rows: 1.0 - n / (all.len() as f64).max(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_calibration_with_the_keys_of_older_baseline_files_is_read() {
        let alarms = json!({"rate": 0.04, "error": 0.01, "uniformity": 0.2, "unanswered": 0.0});
        let older = json!({
            "baseline_rows": 200, "window_rows": 50, "windows": 100, "consecutive": true,
            "promised": 0.05, "statistics": {"jsd": alarms}, "check": alarms,
        });
        let read: Calibration = serde_json::from_value(older).unwrap();
        assert_eq!((read.alpha, read.clean_windows.windows), (0.05, 100));
        assert_eq!(read.check, read.statistics[&Statistic::Jsd]);
        assert_eq!(read.check.standard_error, 0.01);
        let written = serde_json::to_value(&read).unwrap();
        let keys = |value: &Value| {
            value
                .as_object()
                .unwrap()
                .keys()
                .cloned()
                .collect::<Vec<_>>()
        };
        assert_eq!(
            keys(&written["check"]),
            ["ks_distance", "not_enough_rows", "rate", "standard_error"]
        );
        assert_eq!(written.get("promised"), None);
        assert_eq!(
            serde_json::from_value::<Calibration>(written).unwrap(),
            read
        );
    }
}
