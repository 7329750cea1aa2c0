//! `quickstart` and `run`.

use std::path::PathBuf;

use driftline::core::{Error, ErrorKind};
use driftline::stats::Distance;
use driftline::{Components, FinishedRun, QuickstartOptions, Settings};

use crate::args::{Output, QuickstartArgs, RunArgs, SettingsArgs};
use crate::drift::{changes, p_value};
use crate::outcome::Outcome;
use crate::progress::{Reporter, stop_on_ctrl_c};
use crate::table::{Cell, Table};
use crate::{output, plugin};

/// Days of a window that the table shows.
const DAYS_SHOWN: usize = 7;

/// Runs the demo.
pub fn quickstart(
    args: &QuickstartArgs,
    plugins: &[PathBuf],
    output: Output,
) -> anyhow::Result<Outcome> {
    let first = Settings::quickstart(&QuickstartOptions {
        dataset: args.dataset.clone(),
        events: args.events.clone(),
        model: args.settings.model.clone(),
        days: args.days,
        per_day: args.per_day,
    })?;
    let mut settings = Settings::load(&first, None, &overrides(&args.settings)?)?;
    settings.plugins.path.splice(..0, plugins.iter().cloned());
    execute(&settings, args.changes.all_changes, output)
}

/// Does what a settings file says.
pub fn run(args: &RunArgs, plugins: &[PathBuf], output: Output) -> anyhow::Result<Outcome> {
    let overrides = overrides(&args.settings)?;
    let mut settings = Settings::load(&Settings::default(), Some(&args.config), &overrides)?;
    settings.plugins.path.splice(..0, plugins.iter().cloned());
    if let Some(transform) = &args.transform {
        for window in &mut settings.windows {
            window.transform.clone_from(transform);
        }
    }
    execute(&settings, args.changes.all_changes, output)
}

/// The settings of `--set`.
pub fn pairs(set: &[String]) -> Result<Vec<(String, String)>, Error> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            let message = format!("`--set {text}` has no value");
            Error::new(ErrorKind::InvalidConfig, "read flags", message)
                .remedy("write it as in `--set backend.name=candle`")
        })?;
        Ok((key.to_owned(), value.to_owned()))
    };
    set.iter().map(pair).collect()
}

fn overrides(args: &SettingsArgs) -> Result<Vec<(String, String)>, Error> {
    let mut overrides = pairs(&args.set)?;
    let mut add = |key: &str, value: Option<String>| {
        overrides.extend(value.map(|value| (key.to_owned(), value)));
    };
    add("model.path", args.model.clone());
    add("backend.name", args.backend.clone());
    add("backend.threads", args.threads.map(|n| n.to_string()));
    add(
        "backend.device",
        args.device.map(|device| device.to_string()),
    );
    let runtime = args.runtime.as_ref();
    add(
        "backend.runtime",
        runtime.map(|path| path.display().to_string()),
    );
    add(
        "backend.precision",
        args.precision.map(|precision| precision.to_string()),
    );
    add("sink.name", args.sink.clone());
    let store = args.store.as_ref();
    add("sink.store", store.map(|path| path.display().to_string()));
    add("monitor.project", args.project.clone());
    add("monitor.clusters", args.clusters.map(|n| n.to_string()));
    add("run.batch_size", args.batch_size.map(|n| n.to_string()));
    add("run.seed", args.seed.map(|seed| seed.to_string()));
    add("run.on_error", args.on_error.clone());
    add("run.id", args.run_id.clone());
    add("run.now", args.now.map(|now| now.to_string()));
    Ok(overrides)
}

fn execute(settings: &Settings, all_changes: bool, output: Output) -> anyhow::Result<Outcome> {
    let progress = Reporter::new(output.quiet);
    let cancel = stop_on_ctrl_c()?;
    let components = Components::new(&plugin::search(&settings.plugins)?)?;
    let finished = driftline::run(settings, &components, &cancel, &progress).map_err(|error| {
        match error.kind() {
            ErrorKind::Interrupted => {
                error.remedy("what was written is kept; run the same command again to resume")
            }
            _ => error,
        }
    })?;
    if output.json {
        output::json(&finished)?;
    } else {
        show(&finished, all_changes)?;
    }
    Ok(Outcome::Done)
}

fn show(finished: &FinishedRun, all_changes: bool) -> anyhow::Result<()> {
    let summary = &finished.summary;
    output::text(&format!(
        "{} ({} images, accuracy {}) on {}, {} threads, {}",
        summary.model.name,
        summary.baseline.rows,
        output::percent(summary.baseline.accuracy),
        summary.backend.engine,
        summary.backend.threads,
        summary.backend.precision,
    ))?;
    let mut windows = Table::new(["window", "transform", "images", "published", "accuracy"]);
    let mut drift = Table::new(["window", "jsd", "noise floor", "psi", "p-value", "drift"]);
    let most = summary.windows.iter().map(|window| window.bins.len());
    let shown = most.max().unwrap_or_default().min(DAYS_SHOWN);
    let header = std::iter::once("jsd by day".to_owned());
    let mut days = Table::new(header.chain((1..=shown).map(|day| day.to_string())));
    for window in &summary.windows {
        windows.add_row([
            window.name.clone(),
            // Transforms are long words; between two of them a line may end.
            window.transform.replace("),", "), "),
            window.rows.to_string(),
            window.published.to_string(),
            output::percent(window.accuracy),
        ]);
        drift.add_row([
            Cell::from(&window.name),
            format!("{:.4}", window.statistics[&Distance::Jsd]).into(),
            format!("{:.4}", window.noise_floor).into(),
            format!("{:.4}", window.statistics[&Distance::Psi]).into(),
            window
                .check
                .p_value
                .map_or_else(|| "-".into(), |p| p_value(p).into()),
            Cell::drifted(window.drifted),
        ]);
        let mut row = vec![window.name.clone()];
        let bins = window.bins.iter().take(shown);
        row.extend(bins.map(|bin| format!("{:.3}", bin.statistics[&Distance::Jsd])));
        days.add_row(row);
    }
    for table in [windows, drift, days] {
        table.print()?;
        output::text("")?;
    }
    for window in &summary.windows {
        let explanation = &window.explanation;
        if window.drifted && !explanation.changes.is_empty() {
            let changes = changes(&explanation.changes, all_changes);
            output::text(&format!("{}: {changes}", window.name))?;
        }
        let alerts = window.bins.iter().filter(|bin| bin.alert);
        let days: Vec<String> = alerts
            .map(|bin| bin.start.strftime("%F").to_string())
            .collect();
        if !days.is_empty() {
            output::text(&format!(
                "{}: would alert on {}",
                window.name,
                days.join(", ")
            ))?;
        }
        for warning in &explanation.warnings {
            output::text(&format!("warning: {}: {warning}", window.name))?;
        }
    }
    for skipped in &summary.skipped {
        output::text(&format!(
            "skipped: {} row {} ({}): {}",
            skipped.stage, skipped.image.row, skipped.image.url, skipped.image.reason
        ))?;
    }
    if summary.skipped_images > summary.skipped.len() as u64 {
        output::text(&format!(
            "images skipped in total: {}",
            summary.skipped_images
        ))?;
    }
    output::text(&format!(
        "{} images in {:.1} s, {:.0} images/s embedding",
        summary.timing.images, summary.timing.total_seconds, summary.timing.images_per_second
    ))?;
    output::text(&format!(
        "{} events new, {} already there, in {} (run {})",
        summary.sink.rows_published,
        summary.sink.rows_duplicate,
        summary.sink.location,
        summary.run_id
    ))?;
    output::text(&format!("report: {}", finished.report.display()))
}
