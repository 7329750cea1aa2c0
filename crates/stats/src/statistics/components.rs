//! How many components drifted.

use driftline_core::Result;

use super::kolmogorov_smirnov::{Ranks, p_value};
use crate::multiple_testing::benjamini_hochberg_adjusted;
use crate::{DriftTest, NullDistribution, TestOptions, TestOutcome, TestResult, Vectors};

/// The share of components that the Kolmogorov-Smirnov test with the Benjamini-Hochberg procedure calls drifted.
///
/// The procedure rejects one component at least where `min p(j) d / j` over the sorted probabilities is below the level. That
/// minimum is what the permutation is of, so that the p-value holds however the components depend on each other.
///
/// | | |
/// | --- | --- |
/// | value | share of the `d` components, 0 to 1 |
/// | cost | `permutations d (n + m)` steps of about a fifth of a nanosecond, 16 permutations at once |
/// | not for | a small move of many components in one direction, which [`Hotelling`](crate::Hotelling) sees sooner |
///
/// Rabanser, Günnemann and Lipton 2019; Benjamini and Hochberg 1995.
#[derive(Debug, Clone)]
pub struct DriftedComponents {
    dim: usize,
    rows: Vec<f32>,
}

impl DriftedComponents {
    /// Keeps the baseline's rows.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        Self {
            dim: baseline.dim(),
            rows: baseline.values().to_vec(),
        }
    }
}

impl DriftTest for DriftedComponents {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.rows, self.dim);
        baseline.same_space(&window)?;
        let ranks = match Ranks::sort(baseline, window, options) {
            Ok(ranks) => ranks,
            Err(outcome) => return Ok(outcome),
        };
        let (m, n) = ranks.rows();
        let (actual, permuted) = ranks.permute(options, |distances| {
            let probabilities = distances.iter().map(|distance| p_value(*distance, m, n));
            let adjusted = benjamini_hochberg_adjusted(&probabilities.collect::<Vec<_>>());
            let least = adjusted.iter().copied().fold(1.0, f64::min);
            let rejected = adjusted.iter().filter(|p| **p <= options.alpha).count();
            (least, rejected as f64 / adjusted.len() as f64)
        });
        let (least, shares): (Vec<f64>, Vec<f64>) = permuted.into_iter().unzip();
        let least = NullDistribution::new(-actual.0, least.into_iter().map(|p| -p).collect());
        let shares = NullDistribution::new(actual.1, shares);
        let result = shares.result(options.alpha);
        Ok(TestOutcome::Tested(TestResult {
            p_value: least.p_value(),
            minimum_detectable_effect: result.minimum_detectable_effect.max(1.0 / self.dim as f64),
            ..result
        }))
    }
}
