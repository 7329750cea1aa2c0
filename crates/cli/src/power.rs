//! `power`: from which strength and after how many images drift would be seen.

use driftline::{Components, Plugins, PowerOptions, PowerReport};

use crate::args::{Output, PowerArgs};
use crate::progress::{Reporter, stop_on_ctrl_c};
use crate::{Outcome, output};

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
        show(&report)?;
    }
    Ok(Outcome::Done)
}

fn show(report: &PowerReport) -> anyhow::Result<()> {
    output::text(&format!(
        "share of {} windows called drifted at {} % false alarms, against {} baseline rows",
        report.windows,
        100.0 * report.alpha,
        report.baseline_rows
    ))?;
    let sizes = report.strengths.first().into_iter();
    let sizes = sizes.flat_map(|strength| &strength.power);
    let sizes = sizes.map(|size| format!("{} images", size.rows));
    let header = ["drift".to_owned(), "accuracy".to_owned()].into_iter();
    let mut table = output::table(header.chain(sizes).chain(["enough".to_owned()]));
    for strength in &report.strengths {
        let start = [
            strength.transform.clone(),
            output::percent(strength.accuracy),
        ];
        let powers = strength
            .power
            .iter()
            .map(|size| format!("{:.2}", size.power));
        let enough = match strength.rows_needed {
            Some(rows) => format!("{rows} images"),
            None => "more".to_owned(),
        };
        table.add_row(start.into_iter().chain(powers).chain([enough]));
    }
    output::text(&table.to_string())
}
