//! `baseline` and `calibrate`: a monitor before it is used.

use driftline::stats::{Calibration, FalseAlarms};
use driftline::{BaselineFileOptions, CalibrateOptions};

use crate::args::{BaselineArgs, CalibrateArgs, Output};
use crate::flags::with_flags;
use crate::outcome::Outcome;
use crate::output;
use crate::progress::Reporter;
use crate::table::Table;

/// Compiles a baseline file.
pub fn baseline(args: &BaselineArgs, output: Output) -> anyhow::Result<Outcome> {
    let options = BaselineFileOptions {
        clusters: args.clusters.get(),
        kept: args.kept.get(),
        block: args.block,
        calibrate: args.calibrate,
        seed: args.seed,
    };
    let progress = Reporter::new(output.quiet);
    let mut report = driftline::baseline(&args.rows, &args.output, &options, &progress)?;
    for warning in &mut report.warnings {
        *warning = with_flags(warning);
    }
    if output.json {
        output::json(&report)?;
        return Ok(Outcome::Done);
    }
    output::text(&format!(
        "{} rows in {} clusters, {} of them kept, in {}",
        report.rows,
        report.clusters,
        report.kept,
        report.output.display()
    ))?;
    if let Some(calibration) = &report.calibration {
        output::text(&sentence(calibration))?;
    }
    for warning in &report.warnings {
        output::text(&format!("warning: {warning}"))?;
    }
    Ok(Outcome::Done)
}

/// As in `clean windows of 200 consecutive rows: 4.5 % ± 1.5 of 200 called drifted, expected at most 5 %`.
pub fn sentence(calibration: &Calibration) -> String {
    let windows = &calibration.clean_windows;
    format!(
        "clean windows of {} consecutive rows: {} of {} called drifted, expected at most {} %",
        windows.window_rows,
        rate(&calibration.check),
        windows.windows,
        100.0 * calibration.alpha
    )
}

/// Measures false alarms on clean windows.
pub fn calibrate(args: &CalibrateArgs, output: Output) -> anyhow::Result<Outcome> {
    let options = CalibrateOptions {
        windows: args.windows,
        window_rows: args.window_rows.clone(),
        baseline_rows: args.baseline_rows,
        consecutive: args.consecutive,
        clusters: args.clusters.get(),
        statistics: args.test.statistics()?,
        test: args.test.options(),
    };
    let all = driftline::calibrate(&args.rows, &options, &Reporter::new(output.quiet))?;
    if output.json {
        output::json(&all)?;
        return Ok(Outcome::Done);
    }
    output::text(&format!(
        "false-alarm rates on {} clean windows of each size, against baselines of {} other rows; expected: at most {} %",
        args.windows,
        args.baseline_rows,
        100.0 * args.test.alpha
    ))?;
    let header = ["statistic".to_owned()].into_iter();
    let sizes = args.window_rows.iter().map(|size| format!("{size} rows"));
    let mut table = Table::new(header.chain(sizes));
    let asked = all.first().map(|c| c.statistics.keys().copied());
    for statistic in asked.into_iter().flatten() {
        let rates = all.iter().map(|c| c.statistics.get(&statistic));
        let row = [statistic.to_string()].into_iter();
        table.add_row(row.chain(rates.map(|alarms| alarms.map_or_else(String::new, rate))));
    }
    let row = ["all together".to_owned()].into_iter();
    table.add_row(row.chain(all.iter().map(|c| rate(&c.check))));
    table.print()?;
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
