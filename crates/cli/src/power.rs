//! `power`: how strong drift must be, and in how many images, to be detected.

use driftline::{Components, ENOUGH_POWER, Plugins, PowerOptions, PowerReport};

use crate::args::{Output, PowerArgs};
use crate::outcome::Outcome;
use crate::output;
use crate::progress::{Reporter, stop_on_ctrl_c};
use crate::table::Table;

/// Sweeps a parameter.
pub fn power(args: &PowerArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let options = PowerOptions {
        steps: args.steps,
        baseline: args.baseline.clone(),
        window_rows: args.window_rows.clone(),
        windows: args.windows,
        embedder: (&args.embedding).into(),
        statistics: args.test.statistics()?,
        test: args.test.options(),
    };
    let report = driftline::power(
        &args.source,
        (&args.transform, &args.sweep),
        &options,
        &Components::new(plugins)?,
        &stop_on_ctrl_c()?,
        &Reporter::new(output.quiet),
    )?;
    if output.json {
        output::json(&report)?;
    } else {
        show(&report, args)?;
    }
    Ok(Outcome::Done)
}

fn show(report: &PowerReport, args: &PowerArgs) -> anyhow::Result<()> {
    output::text(&format!(
        "power: share of {} windows of each size in which {} is detected, at a false-alarm rate of {} %\n\
         (baseline: {} rows; needed: the fewest images of a window with a power of at least {ENOUGH_POWER})",
        report.windows,
        report.transform,
        100.0 * report.alpha,
        report.baseline_rows
    ))?;
    let sizes = report.strengths.first().into_iter();
    let sizes = sizes.flat_map(|strength| &strength.power);
    let sizes = sizes.map(|size| size.rows.to_string());
    let header = [args.sweep.parameter.as_str(), "accuracy"]
        .map(str::to_owned)
        .into_iter();
    let mut table = Table::new(header.chain(sizes).chain(["needed".to_owned()]));
    for (value, strength) in args.sweep.values(args.steps.get()).zip(&report.strengths) {
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
