//! `drift`: statistics between two row files.

use std::collections::BTreeMap;

use driftline::core::{Error, ErrorKind, Result};
use driftline::stats::{Statistic, TestOptions, Verdict};
use driftline::{DriftOptions, DriftReport};

use crate::args::{DriftArgs, Output, TestArguments};
use crate::{Outcome, calibrate, output};

/// Compares the files.
pub fn drift(args: &DriftArgs, output: Output) -> anyhow::Result<Outcome> {
    let options = DriftOptions {
        limits: limits(&args.fail_above)?,
        statistics: args.test.statistics()?,
        clusters: args.clusters.get(),
        test: args.test.options(),
    };
    let report = driftline::drift(&args.baseline, &args.window, &options)?;
    if output.json {
        output::json(&report)?;
    } else {
        show(&report)?;
    }
    let drifted = args.fail_on_drift && report.verdict == Verdict::Drift;
    Ok(if drifted || report.above_limit() {
        Outcome::AboveLimit
    } else {
        Outcome::Done
    })
}

fn show(report: &DriftReport) -> anyhow::Result<()> {
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
        "detectable",
        "p-value",
        "limit",
        "drift",
    ]);
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
    for (statistic, told) in &report.statistics {
        table.add_row([
            statistic.to_string(),
            number(told.value),
            number(told.expected),
            number(told.effect),
            number(told.detectable),
            told.p_value.map_or_else(|| "-".to_owned(), p_value),
            told.threshold
                .map_or_else(|| "-".to_owned(), |t| t.to_string()),
            match (told.drifted, told.rows_needed) {
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
    if report.verdict == Verdict::Drift && !explanation.words.is_empty() {
        output::text(&format!("what changed: {}", explanation.words.join(", ")))?;
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

fn sentence(report: &DriftReport) -> String {
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
    pub fn options(&self) -> TestOptions {
        TestOptions {
            alpha: self.alpha,
            seed: self.seed,
            block: self.block.get(),
            ..TestOptions::default()
        }
    }

    /// The statistics that were named.
    pub fn statistics(&self) -> Result<Vec<Statistic>> {
        let named = self.statistic.iter();
        named.map(|name| name.trim().parse()).collect()
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
