//! `baseline` and `calibrate`: a monitor before it is used.

use driftline::baselines;
use driftline::pipeline::Progress;
use driftline::stats::{BaselineOptions, Calibration, FalseAlarms, false_alarms};
use serde::Serialize;

use crate::args::{BaselineArgs, CalibrateArgs, Output};
use crate::progress::Reporter;
use crate::{Outcome, output};

#[derive(Serialize)]
struct Compiled {
    output: String,
    rows: u64,
    kept: usize,
    clusters: usize,
}

/// Compiles a baseline file.
pub fn baseline(args: &BaselineArgs, output: Output) -> anyhow::Result<Outcome> {
    let options = BaselineOptions {
        clusters: args.clusters.get(),
        seed: args.seed,
        kept: args.kept.get(),
        block: args.block.get(),
    };
    let baseline = baselines::compile(&args.rows, &args.output, options)?;
    let report = Compiled {
        output: args.output.display().to_string(),
        rows: baseline.rows(),
        kept: baseline.kept().rows(),
        clusters: baseline.clusters().clusters(),
    };
    if output.json {
        output::json(&report)?;
    } else {
        output::text(&format!(
            "{} rows in {} clusters, {} of them kept, in {}",
            report.rows, report.clusters, report.kept, report.output
        ))?;
    }
    Ok(Outcome::Done)
}

/// Measures false alarms on clean windows.
pub fn calibrate(args: &CalibrateArgs, output: Output) -> anyhow::Result<Outcome> {
    let statistics = args.test.statistics(&[])?;
    let test = args.test.options()?;
    let rows = baselines::read_rows(&args.rows)?.rows;
    let compile = BaselineOptions {
        clusters: args.clusters.get(),
        block: test.block,
        seed: test.seed,
        ..BaselineOptions::default()
    };
    let progress = Reporter::new(output.quiet);
    let mut all: Vec<Calibration> = Vec::new();
    for size in &args.window_rows {
        progress.begin(
            &format!("windows of {size} rows"),
            args.windows.get() as u64,
        );
        all.push(false_alarms(
            &rows,
            (args.baseline_rows.get(), size.get()),
            args.windows.get(),
            &statistics,
            (&compile, &test),
            |windows| progress.advance(windows),
        )?);
        progress.end();
    }
    if output.json {
        output::json(&all)?;
        return Ok(Outcome::Done);
    }
    output::text(&format!(
        "{} clean windows of each size, beside baselines of {} other rows; promised: {} % false alarms",
        args.windows,
        args.baseline_rows,
        100.0 * test.alpha
    ))?;
    let header = ["statistic".to_owned()].into_iter();
    let sizes = args.window_rows.iter().map(|size| format!("{size} rows"));
    let mut table = output::table(header.chain(sizes));
    let asked = all.first().map(|c| c.statistics.keys().copied());
    for statistic in asked.into_iter().flatten() {
        let rates = all.iter().map(|c| c.statistics.get(&statistic));
        let row = [statistic.to_string()].into_iter();
        table.add_row(row.chain(rates.map(|rate| rate.map_or_else(String::new, told))));
    }
    let row = ["all together".to_owned()].into_iter();
    table.add_row(row.chain(all.iter().map(|c| told(&c.check))));
    output::text(&table.to_string())?;
    Ok(Outcome::Done)
}

/// As in `4.9 % ± 0.5`.
fn told(alarms: &FalseAlarms) -> String {
    if alarms.unanswered >= 1.0 {
        return "not enough rows".to_owned();
    }
    format!("{:.1} % ± {:.1}", 100.0 * alarms.rate, 100.0 * alarms.error)
}
