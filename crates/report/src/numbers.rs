//! The numbers of windows and bins that the web page shows, as JSON.

use driftline_metrics::BinNumbers;
use serde::Serialize;

/// All events of a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowView {
    /// Name of the window.
    pub name: String,
    /// The numbers.
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// The events of a bin.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BinRow {
    /// First moment, in milliseconds.
    pub start: i64,
    /// Names of the windows of its events.
    pub windows: Vec<String>,
    /// Events in each cluster.
    pub counts: Vec<u64>,
    /// The numbers.
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// Numbers of some events; `None` where there is nothing to measure on.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numbers {
    /// Events.
    pub rows: u64,
    /// Jensen-Shannon distance.
    pub jsd: Option<f64>,
    /// Its noise floor.
    pub noise_floor: Option<f64>,
    /// Probability of such a distance without any drift.
    pub p_value: Option<f64>,
    /// Whether that is at most [`BIN_ALPHA`](driftline_metrics::BIN_ALPHA).
    pub drifted: bool,
    /// Population stability index.
    pub psi: Option<f64>,
    /// Its noise floor.
    pub psi_floor: Option<f64>,
    /// Share of labelled events whose best score is their target.
    pub accuracy: Option<f64>,
}

impl From<&BinNumbers> for Numbers {
    fn from(bin: &BinNumbers) -> Self {
        Self {
            rows: bin.rows,
            jsd: bin.jsd,
            noise_floor: bin.noise_floor,
            p_value: bin.p_value,
            drifted: bin.drifted.unwrap_or(false),
            psi: bin.psi,
            // Both are expansions of the same: (k - 1) (1 / n + 1 / m), and the root of an eighth of it.
            psi_floor: bin.noise_floor.map(|floor| 8.0 * floor * floor),
            accuracy: bin.accuracy,
        }
    }
}
