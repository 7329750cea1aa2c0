//! `quickstart` and `run`.

use std::path::PathBuf;

use driftline::core::{Error, ErrorKind};
use driftline::data::Split;
use driftline::settings::three_weeks;
use driftline::stats::Distance;
use driftline::{Finished, Plan, Settings};

use crate::args::{Output, QuickstartArgs, RunArgs, SettingsArgs};
use crate::drift::p_value;
use crate::progress::{Reporter, stop_on_ctrl_c};
use crate::{Outcome, output, plugin};

/// Days of a window that the table shows.
const DAYS_SHOWN: usize = 7;

/// Changes of a window that the terminal tells; the report has all.
const WORDS_SHOWN: usize = 6;

/// Does the notebook.
pub fn quickstart(
    args: &QuickstartArgs,
    plugins: &[PathBuf],
    output: Output,
) -> anyhow::Result<Outcome> {
    let mut settings = Settings::default();
    let (baseline, events) = sources(args)?;
    settings.baseline.source = baseline;
    settings.monitor.dataset = match args.dataset.as_str() {
        "sample" | "cifar10" => args.dataset.clone(),
        _ => "baseline".to_owned(),
    };
    settings.windows = three_weeks(&events, args.days, args.per_day);
    settings.model.path = match (&args.settings.model, args.dataset.as_str()) {
        (Some(model), _) => model.clone(),
        (None, name @ ("sample" | "cifar10")) => name.to_owned(),
        (None, _) => {
            return Err(refuse("your own images need a model that knows them")
                .remedy("pass it with `--model`: a model.toml or a weights file")
                .into());
        }
    };
    let mut settings = Settings::load(&settings, None, &overrides(&args.settings)?)?;
    settings.plugins.path.splice(..0, plugins.iter().cloned());
    execute(&settings, output)
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
    execute(&settings, output)
}

fn refuse(message: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, "read flags", message)
}

/// Baseline and events of a quickstart.
fn sources(args: &QuickstartArgs) -> Result<(String, String), Error> {
    let (plain, split) = Split::strip_suffix(&args.dataset);
    match (&args.events, plain) {
        (Some(events), _) => Ok((args.dataset.clone(), events.clone())),
        (None, "sample" | "cifar10") if split.is_none() => {
            Ok((format!("{plain}#train"), format!("{plain}#test")))
        }
        (None, _) => Err(refuse("the images of the three weeks are missing")
            .remedy("pass them with `--events SRC`")),
    }
}

/// The settings of `--set`.
pub fn pairs(set: &[String]) -> Result<Vec<(String, String)>, Error> {
    let pair = |text: &String| {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            refuse(&format!("`--set {text}` has no value"))
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

fn execute(settings: &Settings, output: Output) -> anyhow::Result<Outcome> {
    let progress = Reporter::new(output.quiet);
    let cancel = stop_on_ctrl_c()?;
    let plugins = plugin::search(&settings.plugins)?;
    let finished = Plan::new(settings, &plugins, &progress)?
        .execute(&cancel, &progress)
        .map_err(|error| match error.kind() {
            ErrorKind::Interrupted => {
                error.remedy("what was written is kept; run the same command again to go on")
            }
            _ => error,
        })?;
    if output.json {
        output::json(&finished)?;
    } else {
        show(&finished)?;
    }
    Ok(Outcome::Done)
}

fn show(finished: &Finished) -> anyhow::Result<()> {
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
    let mut windows = output::table([
        "window",
        "transform",
        "images",
        "accuracy",
        "published",
        "jsd",
        "noise floor",
        "psi",
        "p-value",
        "drift",
    ]);
    let most = summary.windows.iter().map(|window| window.bins.len());
    let shown = most.max().unwrap_or_default().min(DAYS_SHOWN);
    let header = std::iter::once("jsd by day".to_owned());
    let mut days = output::table(header.chain((1..=shown).map(|day| day.to_string())));
    for window in &summary.windows {
        windows.add_row([
            window.name.clone(),
            window.transform.clone(),
            window.rows.to_string(),
            output::percent(window.accuracy),
            window.published.to_string(),
            format!("{:.4}", window.statistics[&Distance::Jsd]),
            format!("{:.4}", window.noise_floor),
            format!("{:.4}", window.statistics[&Distance::Psi]),
            window.check.p_value.map_or_else(|| "-".to_owned(), p_value),
            if window.drifted { "yes" } else { "no" }.to_owned(),
        ]);
        let mut row = vec![window.name.clone()];
        let bins = window.bins.iter().take(shown);
        row.extend(bins.map(|bin| format!("{:.3}", bin.statistics[&Distance::Jsd])));
        days.add_row(row);
    }
    output::text(&windows.to_string())?;
    output::text(&days.to_string())?;
    for window in &summary.windows {
        let explanation = &window.explanation;
        if window.drifted && !explanation.words.is_empty() {
            let words = explanation.words.iter().take(WORDS_SHOWN).cloned();
            let words = words.collect::<Vec<_>>().join(", ");
            output::text(&format!("{}: {words}", window.name))?;
        }
        let pages = window.bins.iter().filter(|bin| bin.page);
        let days: Vec<String> = pages
            .map(|bin| bin.start.strftime("%F").to_string())
            .collect();
        if !days.is_empty() {
            output::text(&format!(
                "{}: would page on {}",
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
        output::text(&format!("skipped in all: {}", summary.skipped_images))?;
    }
    output::text(&format!(
        "{} images in {:.1} s, {:.0} images/s embedding",
        summary.timing.images, summary.timing.total_seconds, summary.timing.images_per_second
    ))?;
    output::text(&format!(
        "{} events new, {} there before, in {} (run {})",
        summary.sink.rows_published,
        summary.sink.rows_duplicate,
        summary.sink.location,
        summary.run_id
    ))?;
    output::text(&format!("report: {}", finished.report.display()))
}
