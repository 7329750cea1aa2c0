//! How often clean windows are called drifted, measured on the user's own rows.

use std::collections::BTreeSet;

use driftline_core::{Error, ErrorKind, Result};
use rand::RngExt;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::calibration::{Calibration, CleanWindows, FalseAlarms};
use super::compiled::Baseline;
use super::draw::draw;
use super::options::BaselineOptions;
use crate::permutation::generator;
use crate::{Sample, Statistic, TestOptions, TestOutcome};

/// Windows that share a baseline, at most: compiling it takes longer than testing a window.
const WINDOWS_PER_BASELINE: usize = 10;

/// Measures the false-alarm rates of `statistics`: draws clean windows from `rows`, each beside a baseline that has none of its
/// rows, and counts those that are called drifted.
///
/// The rate is over baselines as well as over windows: windows that share a baseline share its luck, the more the larger they
/// are beside it. At most ten do, and together they have no more rows than it has.
///
/// Of windows that follow each other, the baseline starts at any row, and after the last of `rows` comes the first.
///
/// # Errors
/// `InvalidData` when there are fewer rows than a baseline and a window need.
pub fn false_alarms(
    rows: &Sample,
    clean_windows: CleanWindows,
    statistics: &[Statistic],
    options: (&BaselineOptions, &TestOptions),
    advance: impl Fn(u64) + Sync,
) -> Result<Calibration> {
    let (compile, test) = options;
    let clean_windows = CleanWindows {
        consecutive: clean_windows.consecutive || compile.block > 1,
        ..clean_windows
    };
    let CleanWindows {
        baseline_rows,
        window_rows,
        windows,
        consecutive,
    } = clean_windows;
    if rows.rows() < baseline_rows.saturating_add(window_rows) || windows == 0 {
        let message = format!(
            "{windows} windows of {window_rows} rows beside baselines of {baseline_rows} cannot be drawn from {} rows",
            rows.rows()
        );
        return Err(Error::new(ErrorKind::InvalidData, "calibrate", message)
            .remedy("bring more rows, or ask for a smaller baseline, smaller windows, and at least 1 window"));
    }
    let sharing = (baseline_rows / window_rows.max(1)).clamp(1, WINDOWS_PER_BASELINE);
    let checks = (0..windows.div_ceil(sharing))
        .into_par_iter()
        .map(|pool| {
            let mut random = generator(test.seed, pool as u64);
            let mut order: Vec<usize> = (0..rows.rows()).collect();
            if consecutive {
                order.rotate_left(random.random_range(0..rows.rows()));
            } else {
                order.shuffle(&mut random);
            }
            let (baseline, others) = order.split_at(baseline_rows);
            let baseline = Baseline::compile(&rows.select(baseline), *compile)?;
            let first = pool * sharing;
            let mut checks = Vec::new();
            for window in first..windows.min(first + sharing) {
                let drawn = draw(others.len(), window_rows, consecutive, &mut random);
                let drawn: Vec<usize> = drawn.into_iter().map(|at| others[at]).collect();
                let options = TestOptions {
                    seed: test.seed.wrapping_add(window as u64),
                    ..*test
                };
                checks.push(baseline.check(&rows.select(&drawn), statistics, &options)?);
                advance(1);
            }
            Ok(checks)
        })
        .collect::<Result<Vec<_>>>()?
        .concat();
    let of = |statistic: &Statistic| {
        let p_value = |outcome: &TestOutcome| outcome.result().map(|result| result.p_value);
        let outcomes = checks.iter().map(|check| check.statistics.get(statistic));
        FalseAlarms::of(
            outcomes.map(|outcome| outcome.and_then(p_value)),
            test.alpha,
        )
    };
    let tested = checks.iter().flat_map(|check| check.statistics.keys());
    let tested: BTreeSet<Statistic> = tested.copied().collect();
    Ok(Calibration {
        clean_windows,
        alpha: test.alpha,
        statistics: tested.into_iter().map(|s| (s, of(&s))).collect(),
        check: FalseAlarms::of(checks.iter().map(|check| check.p_value), test.alpha),
    })
}
