//! The pooled rows of baseline and window, for tests that exchange single rows.

use super::dependence::independent_rows;
use super::enough_rows::not_enough_rows;
use super::generator::generator;
use super::null_distribution::NullDistribution;
use crate::{TestOptions, TestOutcome, Vectors};

/// Values under permutations that differ from the window's by less than this share of their range are ties that were rounded.
const TIE: f64 = 1e-9;

/// The rows of baseline and window, which a permutation exchanges one by one.
#[derive(Debug)]
pub(crate) struct PooledRows {
    dim: usize,
    /// f32 `[rows, dim]`: those of the baseline, then those of the window.
    rows: Vec<f32>,
    baseline: usize,
    options: TestOptions,
}

impl PooledRows {
    /// Takes all rows, or those that are far enough apart where neighbours depend on each other.
    ///
    /// # Errors
    /// `NotEnoughRows`: fewer than `least` in baseline or window, or fewer permutations than the level needs.
    pub(crate) fn new(
        baseline: Vectors<'_>,
        window: Vectors<'_>,
        least: usize,
        options: &TestOptions,
    ) -> Result<Self, TestOutcome> {
        let dim = baseline.dim();
        let mut rows = independent_rows(baseline, options);
        let baseline = rows.len() / dim;
        rows.extend(independent_rows(window, options));
        let all = rows.len() / dim;
        let few = baseline.min(all - baseline);
        if few < least {
            return Err(TestOutcome::NotEnoughRows {
                rows: few,
                needed: least,
            });
        }
        if let Some(outcome) = not_enough_rows(baseline, all - baseline, options.alpha) {
            return Err(outcome);
        }
        Ok(Self {
            dim,
            rows,
            baseline,
            options: *options,
        })
    }

    /// Values in a row.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// The rows of the baseline, then those of the window.
    pub(crate) fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Number of rows of the baseline.
    pub(crate) fn baseline(&self) -> usize {
        self.baseline
    }

    /// Number of rows of the window.
    pub(crate) fn window(&self) -> usize {
        self.rows.len() / self.dim - self.baseline
    }

    /// Number of permutations.
    pub(crate) fn permutations(&self) -> u64 {
        self.options.permutations as u64
    }

    /// Number of rows of the smaller of baseline and window, whose rows a permutation draws.
    pub(crate) fn smaller(&self) -> usize {
        self.baseline.min(self.window())
    }

    /// Which rows are those of the smaller of baseline and window in a permutation.
    pub(crate) fn drawn(&self, permutation: u64) -> Vec<bool> {
        let all = self.baseline + self.window();
        let mut random = generator(self.options.seed, permutation);
        let mut drawn = vec![false; all];
        for row in rand::seq::index::sample(&mut random, all, self.smaller()) {
            drawn[row] = true;
        }
        drawn
    }

    /// The null distribution of a statistic from its values under each permutation; values that differ from the window's by
    /// rounding only are equal to it.
    pub(crate) fn null_distribution(&self, value: f64, mut permuted: Vec<f64>) -> NullDistribution {
        let (least, most) = permuted
            .iter()
            .fold((value, value), |(a, b), v| (a.min(*v), b.max(*v)));
        for permuted in &mut permuted {
            if (*permuted - value).abs() <= (most - least) * TIE {
                *permuted = value;
            }
        }
        NullDistribution::new(value, permuted)
    }
}
