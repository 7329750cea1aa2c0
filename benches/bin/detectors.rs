//! What driftline's check sees of corrupted images, cell by cell, for `detectors_vs_python.py`:
//! `detectors FOLDER [WINDOWS [ROWS]]` reads `clean.parquet` and each `NAME-SEVERITY.parquet` (rows of `driftline embed`, in the order
//! of the clean ones) and prints JSON. The baseline is 5,000 clean rows; windows of 100 rows, or ROWS, are drawn from the others.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use driftline::baselines;
use driftline::stats::{Baseline, BaselineOptions, Sample, Statistic, TestOptions, power};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

const BASELINE_ROWS: usize = 5_000;
/// Clusters of the published tables.
const CLUSTERS: usize = 10;
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
    let options = BaselineOptions {
        clusters: CLUSTERS,
        ..BaselineOptions::default()
    };
    let baseline = Baseline::compile(&clean.select(reference), options)?;
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
fn measure(baseline: &Baseline, rows: &Sample, sizes: (usize, usize)) -> Result<Value> {
    let options = TestOptions {
        seed: SEED,
        ..TestOptions::default()
    };
    let power = power(baseline, rows, sizes, &Statistic::DEFAULT, &options)?;
    Ok(json!({
        "power": power.check,
        "missed": 1.0 - power.check,
        "delay_windows": (power.check > 0.0).then(|| 1.0 / power.check),
        "statistics": power.statistics,
    }))
}
