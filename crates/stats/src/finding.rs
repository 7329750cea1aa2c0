//! What a statistic says of a window.

use driftline_core::Result;
use serde::{Deserialize, Serialize};

use crate::Vectors;

/// A statistic that was fitted to the baseline and is asked about windows.
pub trait DriftTest: Send + Sync {
    /// Compares the rows of a window with the baseline.
    ///
    /// # Behavior
    /// - The same rows and options give the same answer, on any number of threads.
    /// - Fewer rows than the statistic needs are no error but [`Answer::NotEnoughRows`].
    ///
    /// # Errors
    /// `InvalidData` when the rows are of another space than the baseline's.
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<Answer>;
}

/// How windows are tested.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestOptions {
    /// The level: the share of windows without drift that may be called drifted, above 0 and below 1.
    pub alpha: f64,
    /// How often the rows are divided anew where a p-value comes from permutation; no p-value is below
    /// `1 / (divisions + 1)`.
    pub divisions: usize,
    /// Seed of the divisions.
    pub seed: u64,
    /// Consecutive rows that depend on each other, as the frames of a video do; 1 for independent rows.
    pub block: usize,
}

impl Default for TestOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            divisions: 999,
            seed: 42,
            block: 1,
        }
    }
}

/// What a statistic answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A value and what it means.
    Finding(Finding),
    /// Too few rows for any answer.
    NotEnoughRows {
        /// Rows that there are.
        rows: usize,
        /// Rows that it takes.
        needed: usize,
    },
}

impl Answer {
    /// The finding, unless there were too few rows.
    pub fn finding(&self) -> Option<&Finding> {
        match self {
            Self::Finding(finding) => Some(finding),
            Self::NotEnoughRows { .. } => None,
        }
    }
}

/// A value beside what chance alone makes of it. `expected`, `effect` and `detectable` have the unit of `value`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The statistic between baseline and window.
    pub value: f64,
    /// The noise floor: what it is on average without any drift, at these numbers of rows.
    pub expected: f64,
    /// How much of the value is drift: without the bias that few rows give. At least 0, unless the statistic has a sign.
    pub effect: f64,
    /// The probability of such a value without any drift, above 0 and at most 1.
    pub p_value: f64,
    /// The smallest effect that a window of this size shows in nine of ten cases at the test's level.
    pub detectable: f64,
}

/// What a finding means at a level of false alarms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// More than chance explains.
    Drift,
    /// Not more than chance explains.
    None,
    /// Too few rows to say.
    NotEnoughRows,
}

impl Answer {
    /// The verdict at `alpha`, the share of windows without drift that may be called drifted.
    pub fn verdict(&self, alpha: f64) -> Verdict {
        match self {
            Self::Finding(finding) if finding.p_value <= alpha => Verdict::Drift,
            Self::Finding(_) => Verdict::None,
            Self::NotEnoughRows { .. } => Verdict::NotEnoughRows,
        }
    }
}
