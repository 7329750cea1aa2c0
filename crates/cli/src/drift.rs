//! `drift`: statistics between two row files.

use std::collections::BTreeMap;

use driftline::core::{Error, ErrorKind, Result};
use driftline::stats::{Statistic, TestOptions, Verdict};
use driftline::{DriftOptions, DriftReport};

use crate::args::{DriftArgs, Output, TestArguments};
use crate::outcome::Outcome;
use crate::output::Tone;
use crate::table::{Cell, Table};
use crate::{calibrate, output};

/// Changes that are shown unless all are asked for.
const CHANGES_SHOWN: usize = 3;

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
        show(&report, args.changes.all_changes)?;
    }
    let drifted = args.fail_on_drift && report.verdict == Verdict::Drift;
    Ok(if drifted || report.above_limit() {
        Outcome::AboveLimit
    } else {
        Outcome::Done
    })
}

fn show(report: &DriftReport, all_changes: bool) -> anyhow::Result<()> {
    let blocks = match report.baseline.block {
        1 => String::new(),
        rows => format!(" in blocks of {rows}"),
    };
    let (verdict, tone, level) = sentence(report);
    output::verdict(
        &format!(
            "{} baseline rows, {} window rows{blocks}: ",
            report.baseline.rows, report.window.rows
        ),
        (verdict, tone),
        &level,
    )?;
    let with_limits = report.statistics.values().any(|s| s.threshold.is_some());
    let mut header = vec![
        "statistic",
        "value",
        "noise floor",
        "effect",
        "min. detectable",
        "p-value",
    ];
    header.extend(with_limits.then_some("limit"));
    header.push("drift");
    let mut table = Table::new(header);
    for (statistic, tested) in &report.statistics {
        let numbers = [
            tested.value,
            tested.expected,
            tested.effect,
            tested.minimum_detectable_effect,
        ];
        let mut row: Vec<Cell> = vec![statistic.into()];
        row.extend(
            numbers.map(|number| number.map_or_else(|| "-".into(), |n| four_digits(n).into())),
        );
        row.push(
            tested
                .p_value
                .map_or_else(|| "-".into(), |p| p_value(p).into()),
        );
        if with_limits {
            row.push(tested.threshold.map_or_else(|| "-".into(), Cell::from));
        }
        row.push(match (tested.drifted, tested.rows_needed) {
            (Some(drifted), _) => Cell::drifted(drifted),
            (None, Some(needed)) => Cell::toned(format!("needs {needed} rows"), Tone::Unknown),
            (None, None) => "-".into(),
        });
        table.add_row(row);
    }
    table.print()?;
    if let Some(calibration) = &report.baseline.calibration {
        output::text(&format!("baseline's {}", calibrate::sentence(calibration)))?;
    }
    let explanation = &report.explanation;
    if report.verdict == Verdict::Drift && !explanation.changes.is_empty() {
        let changes = changes(&explanation.changes, all_changes);
        output::text(&format!("what changed: {changes}"))?;
        let rows: Vec<String> = explanation.exemplars.iter().map(usize::to_string).collect();
        output::text(&format!("rows that moved farthest: {}", rows.join(", ")))?;
    }
    if let Some(accuracy) = &explanation.accuracy {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        output::text(&format!(
            "{} {}, between {} and {}",
            if accuracy.calibrated {
                "expected accuracy, estimated from the confidence:"
            } else {
                "mean confidence (the baseline has no labels to calibrate it):"
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

/// The verdict in words, its tone, and the numbers behind it.
fn sentence(report: &DriftReport) -> (&'static str, Tone, String) {
    let (verdict, tone) = match report.verdict {
        Verdict::Drift => ("drift", Tone::Bad),
        Verdict::None => ("no drift", Tone::Good),
        Verdict::NotEnoughRows => ("not enough rows for a verdict", Tone::Unknown),
    };
    let level = 100.0 * report.alpha;
    let numbers = report.p_value.map_or_else(String::new, |p| {
        format!(" (p {}, false-alarm rate {level} %)", p_value(p))
    });
    (verdict, tone, numbers)
}

/// The largest changes, or all of them.
pub fn changes(words: &[String], all: bool) -> String {
    let shown = if all { words.len() } else { CHANGES_SHOWN };
    let mut text = words[..shown.min(words.len())].join(", ");
    if words.len() > shown {
        let more = words.len() - shown;
        text += &format!(" (and {more} more, see --all-changes)");
    }
    text
}

/// Four digits after the point, fewer for large numbers.
fn four_digits(number: f64) -> String {
    match number.abs() {
        size if size < 10.0 => format!("{number:.4}"),
        size if size < 1000.0 => format!("{number:.2}"),
        _ => format!("{number:.0}"),
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
