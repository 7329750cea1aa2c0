//! The run of the notebook as it grows: seconds, images/s and peak memory in MB at 1,000, 10,000 and 80,000 images, for
//! every backend of this machine.
//!
//! Each run is a process of its own into a new store, and does what `driftline quickstart` does: baseline (five eighths of
//! the images), three weeks with drift, statistics, local sink and page. Its seconds are from the start of the process to
//! the end; `total / embedding` is the time of the run over the time inside the backend.
//!
//! `DRIFTLINE_TEST_DATA` names a folder with cifar10-train.parquet, cifar10-test.parquet and resnet18_cifar10.pth; without
//! it images and model are the samples. `DRIFTLINE_PLUGIN_PATH` names a folder with plugins.

mod images;

use std::process::{Command, ExitCode, Output};
use std::time::Instant;

use anyhow::Result;
use common::arguments::{only_tests, selects};
use common::header;
use common::opening::{Silent, backends};
use common::threads::{all, threads, with_each};
use driftline::pipeline::Cancel;
use driftline::settings::three_weeks;
use driftline::{Plan, Plugins, Settings};
use serde_json::Value;

use crate::images::Images;

/// In the environment of a process that does one run: its settings.
const SETTINGS: &str = "DRIFTLINE_BENCH_SETTINGS";

fn main() -> ExitCode {
    match std::env::var(SETTINGS) {
        Ok(settings) => {
            if let Err(error) = run(&settings) {
                eprintln!("{error:#}");
                return ExitCode::FAILURE;
            }
        }
        Err(_) if selects("end_to_end") => with_each(&[all()], measure),
        Err(_) => {}
    }
    ExitCode::SUCCESS
}

/// One run, whose summary is printed as JSON.
fn run(settings: &str) -> Result<()> {
    let settings: Settings = serde_json::from_str(settings)?;
    let plugins = Plugins::find(&settings.plugins, None)?;
    let finished = Plan::new(&settings, &plugins, &Silent)?.execute(&Cancel::default(), &Silent)?;
    println!("{}", serde_json::to_string(&finished)?);
    Ok(())
}

fn measure() {
    let sizes: &[u64] = match only_tests() {
        true => &[1_000],
        false => &[1_000, 10_000, 80_000],
    };
    let folder = tempfile::tempdir().expect("a folder");
    let sizes: Vec<Images> = sizes
        .iter()
        .map(|count| Images::of(*count, folder.path()).expect("the images"))
        .collect();
    for entry in backends().entries() {
        for (i, images) in sizes.iter().enumerate() {
            let start = Instant::now();
            let output = process(&entry.name, images);
            let seconds = start.elapsed().as_secs_f64();
            if !output.status.success() {
                let reason = String::from_utf8_lossy(&output.stderr);
                println!("not measured: {}: {}", entry.name, reason.trim());
                break;
            }
            let summary: Value = serde_json::from_slice(&output.stdout).expect("a summary");
            if i == 0 {
                head(&summary["backend"]);
            }
            row(seconds, &summary);
        }
    }
}

fn process(backend: &str, images: &Images) -> Output {
    let store = tempfile::tempdir().expect("a folder");
    let mut settings = Settings::default();
    settings.model.path.clone_from(&images.model);
    settings.baseline.source.clone_from(&images.baseline);
    // As many events a day as the notebook has for its 80,000 images.
    let days = settings.windows[0].days;
    settings.windows = three_weeks(&images.week, days, images.count.div_ceil(80));
    settings.backend.name = backend.to_owned();
    settings.backend.threads = threads().try_into().ok();
    settings.sink.store = store.path().join("store");
    Command::new(std::env::current_exe().expect("this program"))
        .env(
            SETTINGS,
            serde_json::to_string(&settings).expect("settings"),
        )
        .output()
        .expect("a process")
}

fn head(backend: &Value) {
    let text = |key: &str| backend[key].as_str().unwrap_or_default();
    let threads = backend["threads"].as_u64().unwrap_or_default() as usize;
    header::print(
        text("name"),
        text("engine"),
        text("device"),
        text("precision"),
        threads,
    );
    println!(
        "| images | seconds | images/s | images/s embedding | total / embedding | peak memory |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
}

fn row(seconds: f64, summary: &Value) {
    let number = |value: &Value| value.as_f64().expect("a number");
    let timing = &summary["timing"];
    let images = number(&timing["images"]);
    println!(
        "| {images} | {seconds:.2} | {:.0} | {:.0} | {:.2} | {} |",
        images / seconds,
        number(&timing["images_per_second"]),
        seconds / number(&timing["embed_seconds"]),
        summary["peak_memory_bytes"]
            .as_u64()
            .map_or("unknown".to_owned(), |bytes| format!(
                "{} MB",
                bytes / 1_000_000
            )),
    );
}
