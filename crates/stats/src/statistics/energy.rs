//! The energy distance of two distributions, from the distances of their rows.

use driftline_core::Result;

use super::pairwise::{Sums, pair_sums};
use crate::permutation::PooledRows;
use crate::{DriftTest, TestOptions, TestOutcome, TestResult, Vectors};

/// Energy distance, tested by permutation: `2 E|x - y| - E|x - x'| - E|y - y'|`.
///
/// The expectations are means over all pairs, those of a row with itself included (the V-statistic): never below 0, and
/// above it without drift, by as much as `expected` says.
///
/// | | |
/// | --- | --- |
/// | value | the unit of the rows' distances, 0 upwards; the square of `scipy.stats.energy_distance` for one component |
/// | cost | as [`Mmd`](crate::Mmd): `(m + n)² d / 2` products in f64, and `n² / 2` additions for each permutation |
/// | not for | baselines far above 10,000 rows, and components of different units, of which the largest decides |
///
/// Székely and Rizzo 2004 and 2013.
#[derive(Debug, Clone)]
pub struct Energy {
    dim: usize,
    rows: Vec<f32>,
}

impl Energy {
    /// Keeps the baseline's rows.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        Self {
            dim: baseline.dim(),
            rows: baseline.values().to_vec(),
        }
    }
}

impl DriftTest for Energy {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.rows, self.dim);
        baseline.same_space(&window)?;
        let pooled = match PooledRows::new(baseline, window, 1, options) {
            Ok(pooled) => pooled,
            Err(outcome) => return Ok(outcome),
        };
        let (observed, permuted) = pair_sums(&pooled, |squares| {
            for value in squares {
                *value = value.sqrt();
            }
        });
        let (m, n) = (pooled.baseline() as f64, pooled.window() as f64);
        let energy = |sums: &Sums| {
            let within = sums.baseline / (m * m) + sums.window / (n * n);
            // Rounding can leave a tiny negative sum for equal rows.
            (2.0 * sums.between / (m * n) - within).max(0.0)
        };
        let null =
            pooled.null_distribution(energy(&observed), permuted.iter().map(energy).collect());
        // It is the squared distance of two means, in a space that has one axis for each pair of points.
        Ok(TestOutcome::Tested(TestResult {
            minimum_detectable_effect: null.minimum_detectable_square(options.alpha),
            ..null.result(options.alpha)
        }))
    }
}
