//! `baseline` and `calibrate`: a monitor before it is used.

use driftline::baselines::{self, Loaded};
use driftline::core::{Error, ErrorKind, Result};
use driftline::pipeline::Progress;
use driftline::stats::{
    Baseline, BaselineOptions, Calibration, CleanWindows, FalseAlarms, Sample, Space, Statistic,
    TestOptions, block_length, false_alarms,
};
use serde::Serialize;

use crate::args::{BaselineArgs, Block, CalibrateArgs, Output};
use crate::progress::Reporter;
use crate::{Outcome, output};

/// Rows of a clean window of a baseline, its blocks of dependent ones, and the fewest rows that are worth a measurement.
const WINDOW_ROWS: usize = 200;
const WINDOW_BLOCKS: usize = 20;
const FEWEST_WINDOW_ROWS: usize = 20;

/// Standard errors above the level from which false alarms are no chance.
const BY_CHANCE: f64 = 4.0;

#[derive(Serialize)]
struct Compiled {
    output: String,
    rows: u64,
    kept: usize,
    clusters: usize,
    block: usize,
    calibration: Option<Calibration>,
    warnings: Vec<String>,
}

/// Compiles a baseline file.
pub fn baseline(args: &BaselineArgs, output: Output) -> anyhow::Result<Outcome> {
    let Loaded {
        rows: sample,
        origin,
    } = baselines::read_rows(&args.rows)?;
    let named = |error: Error| error.with("file", args.rows.display());
    let embeddings = sample.space(Space::Embeddings).map_err(named)?;
    let dependent = embeddings.and_then(block_length);
    let block = match (args.block, dependent) {
        (Block::Rows(rows), _) => rows.get(),
        (Block::Auto, Some(rows)) => rows,
        (Block::Auto, None) => {
            let message = format!(
                "a tenth of the {} rows does not show over how many they depend on each other, as with few rows, sorted ones, or those that move on",
                sample.rows()
            );
            return Err(named(Error::new(
                ErrorKind::InvalidData,
                "find the block",
                message,
            ))
            .remedy("bring more rows, shuffle them where they are images of their own, or name `--block ROWS`")
            .into());
        }
    };
    let options = BaselineOptions {
        clusters: args.clusters.get(),
        seed: args.seed,
        kept: args.kept.get(),
        block,
    };
    let mut baseline = Baseline::compile(&sample, options).map_err(named)?;
    let progress = Reporter::new(output.quiet);
    if let Some(calibration) = calibration(&sample, args.calibrate, &options, &progress)? {
        baseline = baseline.with_calibration(calibration);
    }
    let compiled = Loaded {
        rows: baseline,
        origin,
    };
    baselines::write(&compiled, &args.rows, &args.output)?;
    let baseline = &compiled.rows;
    let report = Compiled {
        output: args.output.display().to_string(),
        rows: baseline.rows(),
        kept: baseline.kept().rows(),
        clusters: baseline.clusters().clusters(),
        block,
        calibration: baseline.calibration().cloned(),
        warnings: baseline
            .calibration()
            .and_then(|calibration| doubt(calibration, block, dependent))
            .into_iter()
            .collect(),
    };
    if output.json {
        output::json(&report)?;
        return Ok(Outcome::Done);
    }
    output::text(&format!(
        "{} rows in {} clusters, {} of them kept, in {}",
        report.rows, report.clusters, report.kept, report.output
    ))?;
    if let Some(calibration) = &report.calibration {
        output::text(&sentence(calibration))?;
    }
    for warning in &report.warnings {
        output::text(&format!("warning: {warning}"))?;
    }
    Ok(Outcome::Done)
}

/// False alarms of the rows' own windows as they follow each other, beside half of them; `None` where
/// that is not asked for or there are too few.
fn calibration(
    sample: &Sample,
    windows: usize,
    options: &BaselineOptions,
    progress: &Reporter,
) -> Result<Option<Calibration>> {
    let baseline_rows = (sample.rows() / 2).min(options.kept);
    let window_rows = WINDOW_ROWS.max(options.block.saturating_mul(WINDOW_BLOCKS));
    let window_rows = window_rows.min(sample.rows() / 4);
    if windows == 0 || window_rows < FEWEST_WINDOW_ROWS || baseline_rows < options.clusters {
        return Ok(None);
    }
    let clean_windows = CleanWindows {
        baseline_rows,
        window_rows,
        windows,
        consecutive: true,
    };
    let test = TestOptions {
        seed: options.seed,
        block: options.block,
        ..TestOptions::default()
    };
    progress.begin("calibrate", windows as u64);
    let measured = false_alarms(
        sample,
        clean_windows,
        &Statistic::DEFAULT,
        (options, &test),
        |windows| progress.advance(windows),
    );
    progress.end();
    let measured = measured?;
    Ok((measured.check.not_enough_rows < 1.0).then_some(measured))
}

/// Why the p-values of a baseline may not hold, when its own clean windows are called drifted more often than the level allows.
fn doubt(calibration: &Calibration, block: usize, dependent: Option<usize>) -> Option<String> {
    let alpha = calibration.alpha;
    let windows = calibration.clean_windows.windows as f64;
    let chance = BY_CHANCE * (alpha * (1.0 - alpha) / windows).sqrt();
    if calibration.check.rate <= alpha + chance {
        return None;
    }
    let cause = match dependent {
        Some(rows) if rows > block => format!(
            "they depend on each other over {rows} rows; if they are frames of a video, compile with `--block auto`, and if they are sorted, shuffle them"
        ),
        _ => "they are sorted or change over time; shuffle them if they are images of their own"
            .to_owned(),
    };
    Some(format!(
        "windows of consecutive rows differ from the other rows: {cause}"
    ))
}

/// As in `clean windows of 200 consecutive rows: 4.5 % ± 1.5 of 200 called drifted, level 5 %`.
pub fn sentence(calibration: &Calibration) -> String {
    let windows = &calibration.clean_windows;
    format!(
        "clean windows of {} consecutive rows: {} of {} called drifted, level {} %",
        windows.window_rows,
        rate(&calibration.check),
        windows.windows,
        100.0 * calibration.alpha
    )
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
        let clean_windows = CleanWindows {
            baseline_rows: args.baseline_rows.get(),
            window_rows: size.get(),
            windows: args.windows.get(),
            consecutive: args.consecutive,
        };
        all.push(false_alarms(
            &rows,
            clean_windows,
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
        "{} clean windows of each size, beside baselines of {} other rows, at a level of {} % false alarms",
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
        table.add_row(row.chain(rates.map(|alarms| alarms.map_or_else(String::new, rate))));
    }
    let row = ["all together".to_owned()].into_iter();
    table.add_row(row.chain(all.iter().map(|c| rate(&c.check))));
    output::text(&table.to_string())?;
    Ok(Outcome::Done)
}

/// As in `4.9 % ± 0.5`.
fn rate(alarms: &FalseAlarms) -> String {
    if alarms.not_enough_rows >= 1.0 {
        return "not enough rows".to_owned();
    }
    format!(
        "{:.1} % ± {:.1}",
        100.0 * alarms.rate,
        100.0 * alarms.standard_error
    )
}
