//! A window beside a baseline.

use std::collections::BTreeMap;
use std::path::Path;

use driftline_core::{Error, ErrorKind, Result};
use driftline_stats::{
    Baseline, BaselineOptions, Calibration, Explanation, Sample, Statistic, TestOptions,
    TestOutcome, Verdict,
};
use serde::Serialize;

use crate::{MonitorSettings, baselines};

/// How a window is compared with a baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftOptions {
    /// Statistics; without any the default ones and psi.
    pub statistics: Vec<Statistic>,
    /// The value above which each of these statistics counts as drift, whatever its p-value.
    pub limits: BTreeMap<Statistic, f64>,
    /// Clusters that shares are counted over; a compiled baseline has its own.
    pub clusters: usize,
    /// How the statistics are tested.
    pub test: TestOptions,
}

impl Default for DriftOptions {
    fn default() -> Self {
        Self {
            statistics: Vec::new(),
            limits: BTreeMap::new(),
            clusters: MonitorSettings::default().clusters.get(),
            test: TestOptions::default(),
        }
    }
}

/// What a window is beside a baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftReport {
    /// The baseline.
    pub baseline: BaselineSide,
    /// The window.
    pub window: WindowSide,
    /// The level of the verdict.
    pub alpha: f64,
    /// The probability of such a window without any drift; `None` where no statistic had enough rows.
    pub p_value: Option<f64>,
    /// What that means at the level.
    pub verdict: Verdict,
    /// Each statistic.
    pub statistics: BTreeMap<Statistic, StatisticReport>,
    /// What changed.
    pub explanation: Explanation,
}

impl DriftReport {
    /// Whether a statistic is above its limit.
    pub fn above_limit(&self) -> bool {
        let mut limited = self
            .statistics
            .values()
            .filter(|one| one.threshold.is_some());
        limited.any(|one| one.drifted == Some(true))
    }
}

/// See [`DriftReport::baseline`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineSide {
    /// Its rows.
    pub rows: u64,
    /// Block length: consecutive rows that depend on each other.
    pub block: usize,
    /// False-alarm rates measured on clean windows of the baseline, in a compiled one.
    pub calibration: Option<Calibration>,
}

/// See [`DriftReport::window`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowSide {
    /// Its rows.
    pub rows: u64,
}

/// A statistic, its limit, and whether it is above the limit; without one, whether it drifted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatisticReport {
    /// The statistic between baseline and window.
    pub value: Option<f64>,
    /// The noise floor: what it is on average without any drift.
    pub expected: Option<f64>,
    /// How much of the value is drift.
    pub effect: Option<f64>,
    /// The probability of such a value without any drift.
    pub p_value: Option<f64>,
    /// The smallest effect that a window of this size shows with a power of 90 %.
    pub minimum_detectable_effect: Option<f64>,
    /// What the p-value means at the level.
    pub verdict: Verdict,
    /// Its limit.
    pub threshold: Option<f64>,
    /// Whether it is above its limit, or without one whether it drifted; `None` with too few rows.
    pub drifted: Option<bool>,
    /// Rows that the test needs, where there are fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_needed: Option<usize>,
}

impl StatisticReport {
    fn new(outcome: &TestOutcome, threshold: Option<f64>, alpha: f64) -> Self {
        let verdict = outcome.verdict(alpha);
        let result = outcome.result();
        let decided = match verdict {
            Verdict::NotEnoughRows => None,
            verdict => Some(verdict == Verdict::Drift),
        };
        Self {
            value: result.map(|r| r.value),
            expected: result.map(|r| r.expected),
            effect: result.map(|r| r.effect),
            p_value: result.map(|r| r.p_value),
            minimum_detectable_effect: result.map(|r| r.minimum_detectable_effect),
            verdict,
            threshold,
            drifted: match (threshold, result) {
                (Some(threshold), Some(result)) => Some(result.value > threshold),
                _ => decided,
            },
            rows_needed: match outcome {
                TestOutcome::Tested(_) => None,
                TestOutcome::NotEnoughRows { needed, .. } => Some(*needed),
            },
        }
    }
}

/// Compares the row file `window` with `baseline`, a baseline file or a row file.
///
/// # Errors
/// `InvalidConfig` for options that cannot be, or a limit on a statistic of something that the rows lack; `InvalidData` for
/// files that cannot be read, or rows that different models made.
pub fn drift(baseline: &Path, window: &Path, options: &DriftOptions) -> Result<DriftReport> {
    accept(&options.test)?;
    let compile = BaselineOptions {
        clusters: options.clusters,
        seed: options.test.seed,
        block: options.test.block,
        ..BaselineOptions::default()
    };
    let named = |error: Error| {
        error
            .with("baseline", baseline.display())
            .with("window", window.display())
    };
    let reference = baselines::open(baseline, compile)?;
    let rows = baselines::read_rows(window)?;
    reference.accept(&rows).map_err(named)?;
    compare(&reference.rows, &rows.rows, options).map_err(named)
}

/// As [`drift`], with rows that are in memory.
///
/// # Errors
/// As [`drift`].
pub fn compare(
    baseline: &Baseline,
    window: &Sample,
    options: &DriftOptions,
) -> Result<DriftReport> {
    let (test, limits) = (&options.test, &options.limits);
    accept(test)?;
    let mut wanted = match options.statistics.as_slice() {
        [] => [&Statistic::DEFAULT[..], &[Statistic::Psi]].concat(),
        statistics => statistics.to_vec(),
    };
    wanted.extend(limits.keys());
    let check = baseline.check(window, &wanted, test)?;
    if let Some(missing) = limits
        .keys()
        .find(|limit| !check.statistics.contains_key(limit))
    {
        let message = format!("the rows lack the columns that `{missing}` needs");
        return Err(Error::new(
            ErrorKind::InvalidConfig,
            "compare rows",
            message,
        ));
    }
    let statistics = check.statistics.iter().map(|(statistic, outcome)| {
        let threshold = limits.get(statistic).copied();
        let report = StatisticReport::new(outcome, threshold, test.alpha);
        (*statistic, report)
    });
    Ok(DriftReport {
        baseline: BaselineSide {
            rows: baseline.rows(),
            block: baseline.options().block,
            calibration: baseline.calibration().cloned(),
        },
        window: WindowSide {
            rows: window.rows() as u64,
        },
        alpha: test.alpha,
        p_value: check.p_value,
        verdict: check.verdict,
        statistics: statistics.collect(),
        explanation: baseline.explain(window, test)?,
    })
}

/// Refuses a level that is none, before any work is done.
pub(crate) fn accept(test: &TestOptions) -> Result<()> {
    if test.alpha > 0.0 && test.alpha < 1.0 {
        return Ok(());
    }
    let message = format!("`{}` is not a valid false-alarm rate", test.alpha);
    Err(
        Error::new(ErrorKind::InvalidConfig, "read options", message)
            .remedy("give `test.alpha` a number above 0 and below 1, such as 0.05"),
    )
}
