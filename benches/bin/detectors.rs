//! What driftline's check sees of corrupted images, cell by cell, for `detectors_vs_python.py`:
//! `detectors FOLDER [WINDOWS [ROWS]]` reads `clean.parquet` and each `NAME-SEVERITY.parquet` (rows of `driftline embed`, in the order
//! of the clean ones) and prints JSON. The baseline is 5,000 clean rows; windows of 100 rows, or ROWS, are drawn from the others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use driftline::baselines;
use driftline::stats::{Baseline, BaselineOptions, Sample, Statistic, TestOptions, Verdict};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const BASELINE_ROWS: usize = 5_000;
const SEED: u64 = 42;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .context("usage: detectors FOLDER [WINDOWS [ROWS]]")?;
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse());
    let sizes: (usize, usize) = (number(40)?, number(100)?);
    let clean = baselines::read_rows(&Path::new(&folder).join("clean.parquet"))?.rows;
    let mut order: Vec<usize> = (0..clean.rows()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(SEED));
    let (reference, others) = order.split_at(BASELINE_ROWS);
    let baseline = Baseline::compile(&clean.select(reference), BaselineOptions::default())?;
    let clean = measure(&baseline, &clean.select(others), sizes)?;
    let mut cells = Vec::new();
    for (name, severity, path) in files(Path::new(&folder))? {
        let rows = baselines::read_rows(&path)?.rows.select(others);
        let mut cell = measure(&baseline, &rows, sizes)?;
        cell["transform"] = json!(name);
        cell["severity"] = json!(severity);
        cells.push(cell);
    }
    let result = json!({
        "rows": sizes.1,
        "alpha": TestOptions::default().alpha,
        "baseline_rows": BASELINE_ROWS,
        "windows": sizes.0,
        "false_alarms": clean,
        "cells": cells,
    });
    println!("{result:#}");
    Ok(())
}

/// `NAME-SEVERITY.parquet`, in order.
fn files(folder: &Path) -> Result<Vec<(String, u64, PathBuf)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        if let Some((name, severity)) = stem.rsplit_once('-')
            && let Ok(severity) = severity.parse()
        {
            files.push((name.to_owned(), severity, path.clone()));
        }
    }
    files.sort();
    Ok(files)
}

/// Shares of windows that the check and each statistic call drifted, and the mean number of windows up to the first that the
/// check does.
fn measure(
    baseline: &Baseline,
    rows: &Sample,
    (windows, window_rows): (usize, usize),
) -> Result<Value> {
    let options = TestOptions::default();
    let mut seen = 0;
    let mut by_statistic: BTreeMap<Statistic, usize> = BTreeMap::new();
    for window in 0..windows {
        let mut random = ChaCha8Rng::seed_from_u64(SEED);
        random.set_stream(window as u64);
        let chosen = rand::seq::index::sample(&mut random, rows.rows(), window_rows).into_vec();
        let options = TestOptions {
            seed: random.next_u64(),
            ..options
        };
        let check = baseline.check(&rows.select(&chosen), &Statistic::DEFAULT, &options)?;
        seen += usize::from(check.verdict == Verdict::Drift);
        for (statistic, answer) in &check.answers {
            let drifted = answer.verdict(options.alpha) == Verdict::Drift;
            *by_statistic.entry(*statistic).or_default() += usize::from(drifted);
        }
    }
    let share = |count: usize| count as f64 / windows as f64;
    let by_statistic: BTreeMap<&str, f64> = by_statistic
        .into_iter()
        .map(|(statistic, count)| (statistic.name(), share(count)))
        .collect();
    let power = share(seen);
    Ok(json!({
        "power": power,
        "missed": 1.0 - power,
        "delay_windows": (seen > 0).then(|| 1.0 / power),
        "statistics": by_statistic,
    }))
}
