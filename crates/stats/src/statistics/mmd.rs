//! The distance of two distributions as the means of a Gaussian kernel see it.

use driftline_core::Result;

use super::pairwise::{Sums, median_distance, pair_sums};
use crate::permutation::PooledRows;
use crate::{DriftTest, NullDistribution, TestOptions, TestOutcome, TestResult, Vectors};

/// Seed of the subsample that the kernel's width comes from.
const SEED: u64 = 42;

/// Maximum mean discrepancy, squared and unbiased, with the kernel `exp(-|x - y|² / 2σ²)`, tested by permutation.
///
/// `σ` is the median distance of two rows of the baseline. Every pair of rows counts, and any change of the distribution
/// shows with enough rows.
///
/// | | |
/// | --- | --- |
/// | value | `E k(x, x') + E k(y, y') - 2 E k(x, y)`, about 0 without drift and below 0 in half of such windows, at most 2 |
/// | cost | `(m + n)² d / 2` products in f64, and `n² / 2` additions for each permutation; no matrix of all pairs is kept |
/// | not for | baselines far above 10,000 rows, and profiles that are to be merged |
///
/// Gretton and others 2012, their `MMD²_u` and their median heuristic.
#[derive(Debug, Clone)]
pub struct Mmd {
    dim: usize,
    rows: Vec<f32>,
    sigma: f64,
}

impl Mmd {
    /// Keeps the baseline's rows and takes the kernel's width from them.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        Self {
            dim: baseline.dim(),
            rows: baseline.values().to_vec(),
            sigma: median_distance(baseline, SEED),
        }
    }

    /// The width of the kernel: the median distance of two rows of the baseline (of 512 of them), the mean distance if that
    /// is 0, and 1 if no two rows differ.
    pub fn sigma(&self) -> f64 {
        self.sigma
    }
}

impl DriftTest for Mmd {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.rows, self.dim);
        baseline.same_space(&window)?;
        let pooled = match PooledRows::new(baseline, window, 2, options) {
            Ok(pooled) => pooled,
            Err(outcome) => return Ok(outcome),
        };
        let scale = -0.5 / (self.sigma * self.sigma);
        let (observed, permuted) = pair_sums(&pooled, |squares| {
            for value in squares {
                *value = (*value * scale).exp();
            }
        });
        let (m, n) = (pooled.baseline() as f64, pooled.window() as f64);
        let unbiased = |sums: &Sums| {
            let (baseline, window) = (
                sums.baseline / (m * (m - 1.0)),
                sums.window / (n * (n - 1.0)),
            );
            baseline + window - 2.0 * sums.between / (m * n)
        };
        let value = unbiased(&observed);
        let permuted: Vec<f64> = permuted.iter().map(unbiased).collect();
        // With the pairs of a row with itself it is the squared distance of two means, whose spread is known.
        let total = observed.baseline + 2.0 * observed.between + observed.window;
        let similar = total / ((m + n) * (m + n - 1.0));
        let bias = (1.0 - similar) * (1.0 / m + 1.0 / n);
        let biased = permuted.iter().map(|chance| chance + bias).collect();
        Ok(TestOutcome::Tested(TestResult {
            minimum_detectable_effect: NullDistribution::new(value + bias, biased)
                .minimum_detectable_square(options.alpha),
            ..pooled
                .null_distribution(value, permuted)
                .result(options.alpha)
        }))
    }
}
