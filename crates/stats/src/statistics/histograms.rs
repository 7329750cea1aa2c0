//! Tests of two histograms over the same bins.

use driftline_core::Result;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use super::distance::{self, Distance};
use crate::permutation::Blocks;
use crate::{TestOptions, TestOutcome, TestResult, Vectors};

/// The permutation test of a distance between two histograms, from the bin of each row of the baseline and of the window.
pub(crate) fn histogram_test(
    distance: Distance,
    bins: usize,
    baseline: &[usize],
    window: &[usize],
    options: &TestOptions,
) -> Result<TestOutcome> {
    let rows = [baseline, window].map(|labels| one_hot(labels, bins));
    let [one, other] = [&rows[0], &rows[1]].map(|rows| Vectors::checked(rows, bins));
    let blocks = match Blocks::new(one, other, options) {
        Ok(blocks) => blocks,
        Err(outcome) => return Ok(outcome),
    };
    // Near no drift all of them are squared distances of the shares, or the root of one: few rows add the same to the square
    // whatever the drift.
    let root = !matches!(distance, Distance::Psi | Distance::Kl);
    let [m, n] = blocks.rows();
    let null = blocks.null_distribution_of_sums(|window| {
        let value = distance.of_counts(blocks.split_sums(window), bins, (m as f64, n as f64));
        if root { value * value } else { value }
    });
    let [baseline, window] = [baseline, window].map(|labels| {
        let mut counts = vec![0; bins];
        labels.iter().for_each(|bin| counts[*bin] += 1);
        counts
    });
    let result = if root {
        null.result_of_square(options.alpha)
    } else {
        TestResult {
            minimum_detectable_effect: null.minimum_detectable_square(options.alpha),
            ..null.result(options.alpha)
        }
    };
    Ok(TestOutcome::Tested(TestResult {
        // Of all rows, also of those that filled no block.
        value: distance.value(&baseline, &window)?,
        ..result
    }))
}

/// A row of zeros for each bin, with 1 at the bin.
fn one_hot(rows: &[usize], bins: usize) -> Vec<f32> {
    let mut values = vec![0.0; rows.len() * bins];
    for (row, bin) in values.chunks_exact_mut(bins).zip(rows) {
        row[*bin] = 1.0;
    }
    values
}

/// The result of the G-test of two histograms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GTest {
    /// `2 sum O ln(O / E)` over both histograms.
    pub statistic: f64,
    /// Bins that were left, less one.
    pub degrees: usize,
    /// The share of the chi-squared distribution at or above the statistic.
    pub p_value: f64,
}

/// Rows that a bin of either histogram is expected to have at least, for the chi-squared distribution to hold.
const FEWEST_EXPECTED: f64 = 5.0;

/// The G-test (likelihood ratio) of two histograms having the same shares. From the smallest on, bins are merged until they
/// expect 5 rows in either histogram, what is left with the last; one bin says nothing (`p_value` 1).
///
/// The statistic is that of `scipy.stats.chi2_contingency(lambda_="log-likelihood", correction=False)`. The p-value is an
/// approximation, which permutation of the rows does not need.
///
/// # Errors
/// `InvalidData` when the histograms have different bins or one has no rows.
pub fn g_test(baseline: &[u64], window: &[u64]) -> Result<GTest> {
    let (m, n) = distance::check(baseline, window)?;
    let smaller = m.min(n) / (m + n);
    let mut bins: Vec<[u64; 2]> = baseline.iter().zip(window).map(|(b, w)| [*b, *w]).collect();
    bins.sort_by_key(|[b, w]| b + w);
    let mut kept: Vec<[u64; 2]> = Vec::new();
    let mut merged = [0, 0];
    for [b, w] in bins {
        merged = [merged[0] + b, merged[1] + w];
        if (merged[0] + merged[1]) as f64 * smaller >= FEWEST_EXPECTED {
            kept.push(std::mem::take(&mut merged));
        }
    }
    match kept.last_mut() {
        Some(last) => *last = [last[0] + merged[0], last[1] + merged[1]],
        None => kept.push(merged),
    }
    let term = |rows: u64, all: u64, share: f64| {
        if rows == 0 {
            return 0.0;
        }
        rows as f64 * (rows as f64 / (all as f64 * share)).ln()
    };
    let terms = kept
        .iter()
        .map(|[b, w]| term(*b, b + w, m / (m + n)) + term(*w, b + w, n / (m + n)));
    let statistic = (2.0 * terms.sum::<f64>()).max(0.0);
    let degrees = kept.len() - 1;
    let p_value = match ChiSquared::new(degrees as f64) {
        Ok(distribution) => distribution.sf(statistic),
        // Without any degree of freedom.
        Err(_) => 1.0,
    };
    Ok(GTest {
        statistic,
        degrees,
        p_value,
    })
}
