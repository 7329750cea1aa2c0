//! Changes of a share of rows.

use serde::Serialize;

/// Shares of clusters and classes that changed by fewer standard errors than this are not described.
const NOTABLE: f64 = 4.0;

/// How a share of rows changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ShareChange {
    /// Share of the baseline, 0..=1.
    pub baseline: f64,
    /// Share of the window.
    pub window: f64,
    /// The difference in standard errors.
    pub shift: f64,
}

impl ShareChange {
    pub(super) fn new(baseline: (u64, u64), window: (u64, u64)) -> Self {
        let share = |(count, all): (u64, u64)| count as f64 / (all as f64).max(1.0);
        let pooled = share((baseline.0 + window.0, baseline.1 + window.1));
        let inverse = 1.0 / (baseline.1 as f64).max(1.0) + 1.0 / (window.1 as f64).max(1.0);
        let error = (pooled * (1.0 - pooled) * inverse).sqrt();
        let difference = share(window) - share(baseline);
        Self {
            baseline: share(baseline),
            window: share(window),
            shift: if error > 0.0 { difference / error } else { 0.0 },
        }
    }

    /// As in `3.1 % -> 9.8 %`, if it is notable.
    pub(super) fn describe(&self, what: &str) -> Option<String> {
        let way = if self.shift > 0.0 { "grew" } else { "shrank" };
        (self.shift.abs() >= NOTABLE).then(|| {
            format!(
                "{what} {way} {:.1} % -> {:.1} %",
                100.0 * self.baseline,
                100.0 * self.window
            )
        })
    }
}
