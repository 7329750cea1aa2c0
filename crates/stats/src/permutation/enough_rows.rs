//! How many rows a permutation test needs.

use crate::TestOutcome;

/// That there are not enough rows, where they have fewer permutations than `1 / alpha`.
pub(crate) fn not_enough_rows(baseline: usize, window: usize, alpha: f64) -> Option<TestOutcome> {
    let (all, few) = (baseline + window, baseline.min(window));
    let ways = (0..few).map(|taken| (all - taken) as f64 / (taken + 1) as f64);
    let (rows, needed) = if few == 0 {
        (0, 1)
    } else {
        (all, (1.0 / alpha).ceil() as usize)
    };
    (few == 0 || ways.product::<f64>() < 1.0 / alpha)
        .then_some(TestOutcome::NotEnoughRows { rows, needed })
}
