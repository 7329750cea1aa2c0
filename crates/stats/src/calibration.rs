//! How often a monitor is wrong, and how soon it is right, measured on its user's own rows.

use std::collections::BTreeMap;

use driftline_core::{Error, ErrorKind, Result};
use rand::RngExt;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::division::random;
use crate::{Answer, Baseline, BaselineOptions, Sample, Statistic, TestOptions, Verdict};

/// Windows without drift that are drawn from rows, each beside a baseline of other ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CleanWindows {
    /// Rows of each baseline.
    pub baseline_rows: usize,
    /// Rows of each window.
    pub window_rows: usize,
    /// How many windows.
    pub windows: usize,
    /// Whether baseline and windows are rows as they follow each other, so that it shows what their order does to the check, or
    /// any rows. Those that depend on each other (a block above 1) always follow each other.
    pub consecutive: bool,
}

/// What clean windows gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// How they were drawn.
    #[serde(flatten)]
    pub drawn: CleanWindows,
    /// The level: the share of windows that each may call drifted.
    pub promised: f64,
    /// Of each statistic.
    pub statistics: BTreeMap<Statistic, FalseAlarms>,
    /// Of the check of all of them together.
    pub check: FalseAlarms,
}

/// False alarms over clean windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FalseAlarms {
    /// Share of windows that were called drifted.
    pub rate: f64,
    /// Standard error of the rate.
    pub error: f64,
    /// Largest distance between the distribution of the p-values and the uniform one (Kolmogorov-Smirnov), 0..=1; without
    /// any windows that were tested, 0.
    pub uniformity: f64,
    /// Share of windows that had too few rows for an answer.
    pub unanswered: f64,
}

/// Windows that share a baseline, at most: compiling it takes longer than testing a window.
const WINDOWS_PER_BASELINE: usize = 10;

/// Draws clean windows from `rows`, each beside a baseline that has none of its rows, and asks `statistics` whether it
/// drifted, which it never did.
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
    drawn: CleanWindows,
    statistics: &[Statistic],
    options: (&BaselineOptions, &TestOptions),
    advance: impl Fn(u64) + Sync,
) -> Result<Calibration> {
    let (compile, test) = options;
    let drawn = CleanWindows {
        consecutive: drawn.consecutive || compile.block > 1,
        ..drawn
    };
    let CleanWindows {
        baseline_rows,
        window_rows,
        windows,
        consecutive,
    } = drawn;
    if rows.rows() < baseline_rows.saturating_add(window_rows) || windows == 0 {
        let message = format!(
            "{windows} windows of {window_rows} rows beside baselines of {baseline_rows} cannot be drawn from {} rows",
            rows.rows()
        );
        return Err(Error::new(ErrorKind::InvalidData, "calibrate", message)
            .remedy("bring more rows, or ask for a smaller baseline, smaller windows, and at least 1 window"));
    }
    let sharing = (baseline_rows / window_rows.max(1)).clamp(1, WINDOWS_PER_BASELINE);
    let answers = (0..windows.div_ceil(sharing))
        .into_par_iter()
        .map(|pool| {
            let mut random = random(test.seed, pool as u64);
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
        let p_value = |answer: &Answer| answer.finding().map(|finding| finding.p_value);
        let answers = answers.iter().map(|check| check.answers.get(statistic));
        FalseAlarms::of(answers.map(|answer| answer.and_then(p_value)), test.alpha)
    };
    let asked = answers.iter().flat_map(|check| check.answers.keys());
    let asked: std::collections::BTreeSet<Statistic> = asked.copied().collect();
    Ok(Calibration {
        drawn,
        promised: test.alpha,
        statistics: asked.into_iter().map(|s| (s, of(&s))).collect(),
        check: FalseAlarms::of(answers.iter().map(|check| check.p_value), test.alpha),
    })
}

/// Numbers of `count` of `rows` rows: any, or some that follow each other.
fn draw(rows: usize, count: usize, consecutive: bool, random: &mut ChaCha8Rng) -> Vec<usize> {
    if consecutive {
        let start = random.random_range(0..=rows - count);
        (start..start + count).collect()
    } else {
        rand::seq::index::sample(random, rows, count).into_vec()
    }
}

impl FalseAlarms {
    fn of(p_values: impl Iterator<Item = Option<f64>>, alpha: f64) -> Self {
        let all: Vec<Option<f64>> = p_values.collect();
        let mut p_values: Vec<f64> = all.iter().flatten().copied().collect();
        p_values.sort_by(f64::total_cmp);
        let n = p_values.len() as f64;
        let rate = p_values.partition_point(|p| *p <= alpha) as f64 / n.max(1.0);
        let distance = p_values.iter().enumerate().map(|(at, p)| {
            let (before, after) = (at as f64 / n, (at + 1) as f64 / n);
            (p - before).abs().max((after - p).abs())
        });
        Self {
            rate,
            error: (rate * (1.0 - rate) / n.max(1.0)).sqrt(),
            uniformity: distance.fold(0.0, f64::max),
            unanswered: 1.0 - n / (all.len() as f64).max(1.0),
        }
    }
}

/// Shares of drifted windows that are called drifted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Power {
    /// By the check of all statistics together.
    pub check: f64,
    /// By each statistic alone.
    pub statistics: BTreeMap<Statistic, f64>,
}

/// Draws `windows` windows of `window_rows` rows from those of a drifted sample, and asks how many are called drifted.
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
            let mut random = random(options.seed, window);
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
    let mut seen: BTreeMap<Statistic, f64> = BTreeMap::new();
    for (statistic, answer) in checks.iter().flat_map(|check| &check.answers) {
        *seen.entry(*statistic).or_default() += f64::from(drift(answer.verdict(options.alpha)));
    }
    seen.values_mut().for_each(|seen| *seen /= windows as f64);
    let by_check: f64 = checks.iter().map(|c| f64::from(drift(c.verdict))).sum();
    Ok(Power {
        check: by_check / windows as f64,
        statistics: seen,
    })
}
