//! `power`: how strong drift must be, and in how many images, to be detected.

use std::collections::BTreeMap;

use driftline::baselines::{self, Loaded};
use driftline::core::{Error, ErrorKind, Result};
use driftline::pipeline::OnError;
use driftline::stats::{Baseline, BaselineOptions, Sample, Statistic, power as seen};
use driftline::{Plugins, registries};
use serde::Serialize;

use crate::args::{Output, PowerArgs};
use crate::embed::Embedder;
use crate::progress::{Reporter, stop_on_ctrl_c};
use crate::table::Table;
use crate::{Outcome, output};

/// The power that a window size must have to be enough.
const ENOUGH: f64 = 0.9;

#[derive(Serialize)]
struct Report {
    transform: String,
    alpha: f64,
    baseline_rows: u64,
    windows: usize,
    strengths: Vec<Strength>,
}

/// What one value of the parameter gives.
#[derive(Serialize)]
struct Strength {
    /// As in `blur(sigma=0.5)`.
    transform: String,
    /// Of the drifted images, where they are labelled.
    accuracy: Option<f64>,
    /// Share of windows that are called drifted, by their rows.
    power: Vec<Power>,
    /// The fewest rows tried that have a power of at least [`ENOUGH`].
    rows_needed: Option<usize>,
}

#[derive(Serialize)]
struct Power {
    rows: usize,
    power: f64,
    /// Of each statistic alone.
    statistics: BTreeMap<Statistic, f64>,
}

/// Sweeps a parameter.
pub fn power(args: &PowerArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let test = args.test.options()?;
    let statistics = args.test.statistics(&[])?;
    let sweep = Sweep::parse(&args.sweep, args.steps.get())?;
    let expressions: Vec<String> = sweep
        .values()
        .map(|value| format!("{}({}={value})", args.transform, sweep.parameter))
        .collect();
    // A wrong name or value is told before anything is embedded.
    let transforms = expressions
        .iter()
        .map(|expression| registries::build_transforms(expression, plugins))
        .collect::<Result<Vec<_>>>()?;
    let progress = Reporter::new(output.quiet);
    let cancel = stop_on_ctrl_c()?;
    let mut embedder = Embedder::open(&args.embedding, plugins, &progress)?;
    let mut embed = |name: &str, transforms: &[_], part: Half| -> Result<Sample> {
        let mut sample = Sample::new(embedder.schema().clone());
        embedder.rows(
            (&args.source, name),
            transforms,
            (test.seed, OnError::Skip),
            (&cancel, &progress),
            |rows| {
                let numbers = rows.rows.image_numbers();
                let here = |row: &usize| part.has(numbers[*row]);
                sample.push_some(&rows.rows, (0..rows.rows.len()).filter(here))
            },
        )?;
        Ok(sample)
    };
    let options = BaselineOptions {
        seed: test.seed,
        block: test.block,
        ..BaselineOptions::default()
    };
    let (baseline, windows_of) = match &args.baseline {
        Some(path) => (baselines::open(path, options)?, Half::Both),
        None => {
            let rows = embed("baseline", &[], Half::Even)?;
            let baseline = Loaded {
                rows: Baseline::compile(&rows, options)?,
                origin: None,
            };
            (baseline, Half::Odd)
        }
    };
    let mut strengths = Vec::new();
    for (expression, transforms) in expressions.into_iter().zip(&transforms) {
        let drifted = embed(&expression, transforms, windows_of)?;
        let power = args
            .window_rows
            .iter()
            .map(|rows| {
                let (rows, windows) = (rows.get(), args.windows.get());
                let sizes = (windows, rows);
                let power = seen(&baseline.rows, &drifted, sizes, &statistics, &test)?;
                Ok(Power {
                    rows,
                    power: power.check,
                    statistics: power.statistics,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let enough = power.iter().filter(|size| size.power >= ENOUGH);
        strengths.push(Strength {
            transform: expression,
            accuracy: drifted.accuracy(),
            rows_needed: enough.map(|size| size.rows).min(),
            power,
        });
    }
    let report = Report {
        transform: args.transform.clone(),
        alpha: test.alpha,
        baseline_rows: baseline.rows.rows(),
        windows: args.windows.get(),
        strengths,
    };
    if output.json {
        output::json(&report)?;
    } else {
        show(&report, &sweep)?;
    }
    Ok(Outcome::Done)
}

fn show(report: &Report, sweep: &Sweep) -> anyhow::Result<()> {
    output::text(&format!(
        "power: share of {} windows of each size in which {} is detected, at a false-alarm rate of {} %\n\
         (baseline: {} rows; needed: the fewest images of a window with a power of at least {ENOUGH})",
        report.windows,
        report.transform,
        100.0 * report.alpha,
        report.baseline_rows
    ))?;
    let sizes = report.strengths.first().into_iter();
    let sizes = sizes.flat_map(|strength| &strength.power);
    let sizes = sizes.map(|size| size.rows.to_string());
    let header = [sweep.parameter.as_str(), "accuracy"]
        .map(str::to_owned)
        .into_iter();
    let mut table = Table::new(header.chain(sizes).chain(["needed".to_owned()]));
    for (value, strength) in sweep.values().zip(&report.strengths) {
        let start = [value.to_string(), output::percent(strength.accuracy)];
        let powers = strength
            .power
            .iter()
            .map(|size| format!("{:.2}", size.power));
        let needed = match strength.rows_needed {
            Some(rows) => rows.to_string(),
            None => "more".to_owned(),
        };
        table.add_row(start.into_iter().chain(powers).chain([needed]));
    }
    table.print()
}

/// Which images of a source.
#[derive(Clone, Copy)]
enum Half {
    Even,
    Odd,
    Both,
}

impl Half {
    fn has(self, number: i64) -> bool {
        match self {
            Self::Both => true,
            Self::Even => number % 2 == 0,
            Self::Odd => number % 2 == 1,
        }
    }
}

/// A parameter and its values.
struct Sweep {
    parameter: String,
    low: f64,
    high: f64,
    steps: usize,
}

impl Sweep {
    fn parse(text: &str, steps: usize) -> Result<Self> {
        let parts = || {
            let (parameter, range) = text.split_once('=')?;
            let (low, high) = range.split_once("..")?;
            let (low, high): (f64, f64) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
            let whole = low.is_finite() && high.is_finite() && low <= high;
            whole.then(|| Self {
                parameter: parameter.trim().to_owned(),
                low,
                high,
                steps,
            })
        };
        parts().ok_or_else(|| {
            let message = format!("`--sweep {text}` is not a parameter and a range");
            Error::new(ErrorKind::InvalidConfig, "read flags", message)
                .remedy("write it as in `--sweep sigma=0.1..2`")
        })
    }

    /// Evenly spread, to four digits.
    fn values(&self) -> impl Iterator<Item = f64> {
        let step = (self.high - self.low) / self.steps.saturating_sub(1).max(1) as f64;
        (0..self.steps).map(move |i| ((self.low + i as f64 * step) * 1e4).round() / 1e4)
    }
}
