//! The power of a check: the share of drifted windows that it calls drifted.

use std::collections::BTreeMap;

use driftline_core::{Error, ErrorKind, Result};
use rayon::prelude::*;
use serde::Serialize;

use super::compiled::Baseline;
use super::draw::draw;
use crate::permutation::generator;
use crate::{Sample, Statistic, TestOptions, Verdict};

/// The power: shares of drifted windows that are called drifted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Power {
    /// By the check of all statistics together.
    pub check: f64,
    /// By each statistic alone.
    pub statistics: BTreeMap<Statistic, f64>,
}

/// Draws `windows` windows of `window_rows` rows from those of a drifted sample, and counts those that are called drifted.
///
/// # Errors
/// `InvalidData` when a window has more rows than there are.
pub fn power(
    baseline: &Baseline,
    drifted: &Sample,
    (windows, window_rows): (usize, usize),
    statistics: &[Statistic],
    options: &TestOptions,
) -> Result<Power> {
    if window_rows == 0 || drifted.rows() < window_rows || windows == 0 {
        let message = format!(
            "{windows} windows of {window_rows} rows cannot be drawn from {} rows",
            drifted.rows()
        );
        return Err(
            Error::new(ErrorKind::InvalidData, "measure the power", message)
                .remedy("ask for smaller windows, and at least 1"),
        );
    }
    let checks = (0..windows as u64)
        .into_par_iter()
        .map(|window| {
            let mut random = generator(options.seed, window);
            let consecutive = baseline.options().block > 1;
            let rows = draw(drifted.rows(), window_rows, consecutive, &mut random);
            let options = TestOptions {
                seed: options.seed.wrapping_add(window),
                ..*options
            };
            baseline.check(&drifted.select(&rows), statistics, &options)
        })
        .collect::<Result<Vec<_>>>()?;
    let drift = |verdict: Verdict| u8::from(verdict == Verdict::Drift);
    let mut detected: BTreeMap<Statistic, f64> = BTreeMap::new();
    for (statistic, outcome) in checks.iter().flat_map(|check| &check.statistics) {
        *detected.entry(*statistic).or_default() +=
            f64::from(drift(outcome.verdict(options.alpha)));
    }
    detected
        .values_mut()
        .for_each(|share| *share /= windows as f64);
    let by_check: f64 = checks.iter().map(|c| f64::from(drift(c.verdict))).sum();
    Ok(Power {
        check: by_check / windows as f64,
        statistics: detected,
    })
}
