//! A drift test, its options and its outcome.

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::Vectors;

/// A statistic that was fitted to the baseline and tests windows.
pub trait DriftTest: Send + Sync {
    /// Compares the rows of a window with the baseline.
    ///
    /// # Behavior
    /// - The same rows and options give the same outcome, on any number of threads.
    /// - Fewer rows than the statistic needs are no error but [`TestOutcome::NotEnoughRows`].
    ///
    /// # Errors
    /// `InvalidData` when the rows are of another space than the baseline's.
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome>;
}

/// How windows are tested.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestOptions {
    /// The significance level: the share of windows without drift that may be called drifted, above 0 and below 1.
    pub alpha: f64,
    /// Number of permutations behind a p-value, which is at least `1 / (permutations + 1)`.
    pub permutations: usize,
    /// Seed of the permutations.
    pub seed: u64,
    /// Consecutive rows that depend on each other, as the frames of a video do; 1 for independent rows.
    pub block: usize,
}

impl Default for TestOptions {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            permutations: 999,
            seed: 42,
            block: 1,
        }
    }
}

impl TestOptions {
    /// That level and number of permutations are in range.
    pub(crate) fn check(&self) -> Result<()> {
        if self.alpha > 0.0 && self.alpha < 1.0 && self.permutations > 0 {
            return Ok(());
        }
        let message = format!(
            "a level of {} with {} permutations",
            self.alpha, self.permutations
        );
        Err(
            Error::new(ErrorKind::InvalidConfig, "test a window", message)
                .remedy("choose a level above 0 and below 1, and at least 1 permutation"),
        )
    }
}

/// The outcome of a test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TestOutcome {
    /// The window was tested.
    Tested(TestResult),
    /// The window or the baseline has too few rows to be tested.
    NotEnoughRows {
        /// Number of rows.
        rows: usize,
        /// Number of rows that the test needs.
        needed: usize,
    },
}

/// A statistic and its significance. `expected`, `effect` and `minimum_detectable_effect` have the unit of `value`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TestResult {
    /// The statistic between baseline and window.
    pub value: f64,
    /// The noise floor: the expected value without any drift, at these numbers of rows.
    pub expected: f64,
    /// The effect size: the value without the bias that few rows give. At least 0, unless the statistic has a sign.
    pub effect: f64,
    /// The probability of such a value without any drift, above 0 and at most 1.
    pub p_value: f64,
    /// The smallest effect that a window of this size shows with a power of 0.9 at the test's level.
    pub minimum_detectable_effect: f64,
}

/// What an outcome means at a significance level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The p-value is at most the level.
    Drift,
    /// The p-value is above the level.
    None,
    /// Too few rows for a test.
    NotEnoughRows,
}

impl TestOutcome {
    /// The result, unless there were too few rows.
    pub fn result(&self) -> Option<&TestResult> {
        match self {
            Self::Tested(result) => Some(result),
            Self::NotEnoughRows { .. } => None,
        }
    }

    /// The verdict at `alpha`, the share of windows without drift that may be called drifted.
    pub fn verdict(&self, alpha: f64) -> Verdict {
        match self {
            Self::Tested(result) if result.p_value <= alpha => Verdict::Drift,
            Self::Tested(_) => Verdict::None,
            Self::NotEnoughRows { .. } => Verdict::NotEnoughRows,
        }
    }
}
