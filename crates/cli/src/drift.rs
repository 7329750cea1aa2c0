//! `drift`: statistics between two row files.

use std::collections::BTreeMap;

use driftline::baselines::{self, Loaded};
use driftline::core::{Error, ErrorKind, Result};
use driftline::stats::{
    Answer, BaselineOptions, Calibration, Explanation, Sample, Statistic, TestOptions, Verdict,
};
use serde::Serialize;

use crate::args::{DriftArgs, Output, TestArguments};
use crate::output::Tone;
use crate::table::{Cell, Table};
use crate::{Outcome, calibrate, output};

/// Changes that are shown unless all are asked for.
const CHANGES_SHOWN: usize = 3;

#[derive(Serialize)]
struct Report {
    baseline: Reference,
    window: RowCount,
    /// The level of the verdict.
    alpha: f64,
    p_value: Option<f64>,
    verdict: Verdict,
    statistics: BTreeMap<Statistic, Told>,
    explanation: Explanation,
}

#[derive(Serialize)]
struct Reference {
    rows: u64,
    /// Block length: consecutive rows that depend on each other.
    block: usize,
    /// False-alarm rates measured on clean windows of the baseline, in a baseline file.
    calibration: Option<Calibration>,
}

#[derive(Serialize)]
struct RowCount {
    rows: u64,
}

/// The result of a statistic; with a limit, whether it is above it, otherwise whether it drifted.
#[derive(Serialize)]
struct Told {
    value: Option<f64>,
    expected: Option<f64>,
    effect: Option<f64>,
    p_value: Option<f64>,
    detectable: Option<f64>,
    verdict: Verdict,
    threshold: Option<f64>,
    drifted: Option<bool>,
    /// Rows needed for a verdict, where there are fewer.
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
        .find(|limit| !check.answers.contains_key(limit))
    {
        let message = format!("the rows lack the columns that `{missing}` needs");
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
            .answers
            .iter()
            .map(|(statistic, answer)| {
                let threshold = limits.get(statistic).copied();
                (*statistic, Told::new(answer, threshold, test.alpha))
            })
            .collect(),
        explanation: baseline.explain(&window, &test).map_err(named)?,
    };
    if output.json {
        output::json(&report)?;
    } else {
        show(&report, args.changes.all_changes)?;
    }
    let above = report
        .statistics
        .values()
        .any(|told| told.threshold.is_some() && told.drifted == Some(true));
    let failed = above || (args.fail_on_drift && report.verdict == Verdict::Drift);
    Ok(if failed {
        Outcome::AboveLimit
    } else {
        Outcome::Done
    })
}

impl Told {
    fn new(answer: &Answer, threshold: Option<f64>, alpha: f64) -> Self {
        let verdict = answer.verdict(alpha);
        let finding = answer.finding();
        let decided = match verdict {
            Verdict::NotEnoughRows => None,
            verdict => Some(verdict == Verdict::Drift),
        };
        Self {
            value: finding.map(|f| f.value),
            expected: finding.map(|f| f.expected),
            effect: finding.map(|f| f.effect),
            p_value: finding.map(|f| f.p_value),
            detectable: finding.map(|f| f.detectable),
            verdict,
            threshold,
            drifted: match (threshold, finding) {
                (Some(threshold), Some(finding)) => Some(finding.value > threshold),
                _ => decided,
            },
            rows_needed: match answer {
                Answer::Finding(_) => None,
                Answer::NotEnoughRows { needed, .. } => Some(*needed),
            },
        }
    }
}

fn show(report: &Report, all_changes: bool) -> anyhow::Result<()> {
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
        "detectable",
        "p-value",
    ];
    header.extend(with_limits.then_some("limit"));
    header.push("drift");
    let mut table = Table::new(header);
    for (statistic, told) in &report.statistics {
        let numbers = [told.value, told.expected, told.effect, told.detectable];
        let mut row: Vec<Cell> = vec![statistic.into()];
        row.extend(
            numbers.map(|number| number.map_or_else(|| "-".into(), |n| four_digits(n).into())),
        );
        row.push(
            told.p_value
                .map_or_else(|| "-".into(), |p| p_value(p).into()),
        );
        if with_limits {
            row.push(told.threshold.map_or_else(|| "-".into(), Cell::from));
        }
        row.push(match (told.drifted, told.rows_needed) {
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
    if report.verdict == Verdict::Drift && !explanation.words.is_empty() {
        let changes = changes(&explanation.words, all_changes);
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
fn sentence(report: &Report) -> (&'static str, Tone, String) {
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
    pub fn options(&self) -> Result<TestOptions> {
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            let message = format!("`--alpha {}` is not a valid false-alarm rate", self.alpha);
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
