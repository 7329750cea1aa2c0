//! `drift`: statistics between two row files.

use std::collections::BTreeMap;

use driftline::baselines::{self, Loaded};
use driftline::core::{Error, ErrorKind, Result};
use driftline::stats::{
    BaselineOptions, Calibration, Explanation, Sample, Statistic, TestOptions, TestOutcome, Verdict,
};
use serde::Serialize;

use crate::args::{DriftArgs, Output, TestArguments};
use crate::{Outcome, calibrate, output};

#[derive(Serialize)]
struct Report {
    baseline: Reference,
    window: RowCount,
    /// The level of the verdict.
    alpha: f64,
    p_value: Option<f64>,
    verdict: Verdict,
    statistics: BTreeMap<Statistic, Tested>,
    explanation: Explanation,
}

#[derive(Serialize)]
struct Reference {
    rows: u64,
    /// Consecutive rows that depend on each other, and change sides as one.
    block: usize,
    /// False-alarm rates measured on clean windows of the baseline, in a baseline file.
    calibration: Option<Calibration>,
}

#[derive(Serialize)]
struct RowCount {
    rows: u64,
}

/// A statistic, its limit, and whether it is above the limit; without one, whether it drifted.
#[derive(Serialize)]
struct Tested {
    value: Option<f64>,
    expected: Option<f64>,
    effect: Option<f64>,
    p_value: Option<f64>,
    minimum_detectable_effect: Option<f64>,
    verdict: Verdict,
    threshold: Option<f64>,
    drifted: Option<bool>,
    /// Rows that the test needs, where there are fewer.
    #[serde(skip_serializing_if = "Option::is_none")]
    rows_needed: Option<usize>,
}

/// Compares the files.
pub fn drift(args: &DriftArgs, output: Output) -> anyhow::Result<Outcome> {
    let limits = limits(&args.fail_above)?;
    let test = args.test.options()?;
    let mut wanted = args.test.statistics(&[Statistic::Psi])?;
    wanted.extend(limits.keys());
    let options = BaselineOptions {
        clusters: args.clusters.get(),
        seed: args.test.seed,
        block: test.block,
        ..BaselineOptions::default()
    };
    let baseline = baselines::open(&args.baseline, options)?;
    let window: Loaded<Sample> = baselines::read_rows(&args.window)?;
    let named = |error: Error| {
        error
            .with("baseline", args.baseline.display())
            .with("window", args.window.display())
    };
    baseline.accept(&window).map_err(named)?;
    let (baseline, window) = (baseline.rows, window.rows);
    let check = baseline.check(&window, &wanted, &test).map_err(named)?;
    if let Some(missing) = limits
        .keys()
        .find(|limit| !check.statistics.contains_key(limit))
    {
        let message = format!("the rows have nothing that `{missing}` looks at");
        return Err(named(Error::new(
            ErrorKind::InvalidConfig,
            "compare rows",
            message,
        ))
        .into());
    }
    let report = Report {
        baseline: Reference {
            rows: baseline.rows(),
            block: baseline.options().block,
            calibration: baseline.calibration().cloned(),
        },
        window: RowCount {
            rows: window.rows() as u64,
        },
        alpha: test.alpha,
        p_value: check.p_value,
        verdict: check.verdict,
        statistics: check
            .statistics
            .iter()
            .map(|(statistic, outcome)| {
                let threshold = limits.get(statistic).copied();
                (*statistic, Tested::new(outcome, threshold, test.alpha))
            })
            .collect(),
        explanation: baseline.explain(&window, &test).map_err(named)?,
    };
    if output.json {
        output::json(&report)?;
    } else {
        show(&report)?;
    }
    let above = report
        .statistics
        .values()
        .any(|tested| tested.threshold.is_some() && tested.drifted == Some(true));
    let failed = above || (args.fail_on_drift && report.verdict == Verdict::Drift);
    Ok(if failed {
        Outcome::AboveLimit
    } else {
        Outcome::Done
    })
}

impl Tested {
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

fn show(report: &Report) -> anyhow::Result<()> {
    let blocks = match report.baseline.block {
        1 => String::new(),
        rows => format!(" in blocks of {rows}"),
    };
    output::text(&format!(
        "{} baseline rows, {} window rows{blocks}: {}",
        report.baseline.rows,
        report.window.rows,
        sentence(report)
    ))?;
    let mut table = output::table([
        "statistic",
        "value",
        "noise floor",
        "effect",
        "min. detectable effect",
        "p-value",
        "limit",
        "drift",
    ]);
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    for (statistic, tested) in &report.statistics {
        table.add_row([
            statistic.to_string(),
            number(tested.value),
            number(tested.expected),
            number(tested.effect),
            number(tested.minimum_detectable_effect),
            tested.p_value.map_or_else(|| "-".to_owned(), p_value),
            tested
                .threshold
                .map_or_else(|| "-".to_owned(), |t| t.to_string()),
            match (tested.drifted, tested.rows_needed) {
                (Some(true), _) => "yes".to_owned(),
                (Some(false), _) => "no".to_owned(),
                (None, Some(needed)) => format!("needs {needed} rows"),
                (None, None) => "-".to_owned(),
            },
        ]);
    }
    output::text(&table.to_string())?;
    if let Some(calibration) = &report.baseline.calibration {
        output::text(&format!("baseline's {}", calibrate::sentence(calibration)))?;
    }
    let explanation = &report.explanation;
    if report.verdict == Verdict::Drift && !explanation.changes.is_empty() {
        output::text(&format!("what changed: {}", explanation.changes.join(", ")))?;
        let rows: Vec<String> = explanation.exemplars.iter().map(usize::to_string).collect();
        output::text(&format!("rows that stand for it: {}", rows.join(", ")))?;
    }
    if let Some(accuracy) = &explanation.accuracy {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        output::text(&format!(
            "{} {}, between {} and {}",
            if accuracy.calibrated {
                "expected accuracy, from the confidence:"
            } else {
                "mean confidence, for want of labels in the baseline:"
            },
            percent(accuracy.value),
            percent(accuracy.low),
            percent(accuracy.high)
        ))?;
    }
    for warning in &explanation.warnings {
        output::text(&format!("warning: {warning}"))?;
    }
    Ok(())
}

fn sentence(report: &Report) -> String {
    let level = format!("at {} % false alarms", 100.0 * report.alpha);
    match (report.verdict, report.p_value) {
        (Verdict::Drift, Some(p)) => format!("drift (p {}, {level})", p_value(p)),
        (Verdict::None, Some(p)) => format!("no drift (p {}, {level})", p_value(p)),
        _ => "not enough rows to say".to_owned(),
    }
}

/// Three digits after the point, more for small ones.
pub fn p_value(p: f64) -> String {
    if p < 0.001 {
        format!("{p:.1e}")
    } else {
        format!("{p:.3}")
    }
}

impl TestArguments {
    /// How windows are tested.
    pub fn options(&self) -> Result<TestOptions> {
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            let message = format!("`--alpha {}` is no share of false alarms", self.alpha);
            return Err(Error::new(ErrorKind::InvalidConfig, "read flags", message)
                .remedy("write a number above 0 and below 1, as in `--alpha 0.05`"));
        }
        Ok(TestOptions {
            alpha: self.alpha,
            seed: self.seed,
            block: self.block.get(),
            ..TestOptions::default()
        })
    }

    /// The statistics that were named, or the default ones and `more`.
    pub fn statistics(&self, more: &[Statistic]) -> Result<Vec<Statistic>> {
        if self.statistic.is_empty() {
            return Ok([&Statistic::DEFAULT, more].concat());
        }
        self.statistic
            .iter()
            .map(|name| name.trim().parse())
            .collect()
    }
}

fn limits(pairs: &[String]) -> Result<BTreeMap<Statistic, f64>> {
    pairs
        .iter()
        .map(|pair| {
            let refuse = || {
                Error::new(
                    ErrorKind::InvalidConfig,
                    "read flags",
                    format!("`--fail-above {pair}` is not a statistic and a number"),
                )
                .remedy("write it as in `--fail-above jsd=0.1`")
            };
            let (name, limit) = pair.split_once('=').ok_or_else(refuse)?;
            let limit: f64 = limit.trim().parse().map_err(|_| refuse())?;
            if !limit.is_finite() {
                return Err(refuse());
            }
            Ok((name.trim().parse()?, limit))
        })
        .collect()
}
