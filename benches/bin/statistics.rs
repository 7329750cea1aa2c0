//! Statistics of driftline for `statistics_vs_python.py`, on raw little-endian files:
//!
//! * `statistics kmeans FILE DIM K` clusters f32 rows and prints seconds and inertia;
//! * `statistics jsd FILE BINS` and `statistics psi FILE BINS` compare pairs of u64 histograms and print seconds and values;
//! * `statistics mmd FILE DIM WINDOW` tests the last WINDOW f32 rows against the others by the exact MMD with 199 permutations and
//!   prints seconds, the fit included, the value, the p-value and the process's peak memory in MB.

use std::time::Instant;

use anyhow::{Context, Result};
use driftline::stats::{Distance, DriftTest, KMeans, KMeansConfig, Mmd, TestOptions, Vectors};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || {
        let usage = "usage: statistics kmeans FILE DIM K | statistics jsd|psi FILE BINS | statistics mmd FILE DIM WINDOW";
        arguments.next().context(usage)
    };
    let what = next()?;
    let file = next()?;
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read {file}"))?;
    let result = match what.as_str() {
        "kmeans" => kmeans(&bytes, next()?.parse()?, next()?.parse()?)?,
        "mmd" => mmd(&bytes, next()?.parse()?, next()?.parse()?)?,
        name => distances(name.parse()?, &bytes, next()?.parse()?)?,
    };
    println!("{result}");
    Ok(())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let values = bytes.as_chunks().0.iter();
    values.map(|value| f32::from_le_bytes(*value)).collect()
}

fn kmeans(bytes: &[u8], dim: usize, k: usize) -> Result<Value> {
    let rows = floats(bytes);
    let start = Instant::now();
    let clusters = KMeans::fit(&rows, dim, k, &KMeansConfig::default())?;
    let seconds = start.elapsed().as_secs_f64();
    // The inertia of all rows, so that two programs are compared by the same number.
    let inertia: f64 = rows
        .chunks_exact(dim)
        .map(|row| {
            let squares = clusters.centroids().chunks_exact(dim).map(|centroid| {
                let differences = row.iter().zip(centroid).map(|(a, b)| f64::from(a - b));
                differences
                    .map(|difference| difference * difference)
                    .sum::<f64>()
            });
            squares.fold(f64::INFINITY, f64::min)
        })
        .sum();
    Ok(json!({ "seconds": seconds, "inertia": inertia }))
}

fn distances(statistic: Distance, bytes: &[u8], bins: usize) -> Result<Value> {
    let counts = bytes.as_chunks().0.iter();
    let counts: Vec<u64> = counts.map(|count| u64::from_le_bytes(*count)).collect();
    let start = Instant::now();
    let values = counts
        .chunks_exact(2 * bins)
        .map(|pair| statistic.value(&pair[..bins], &pair[bins..]))
        .collect::<Result<Vec<f64>, _>>()?;
    let seconds = start.elapsed().as_secs_f64();
    Ok(json!({ "seconds": seconds, "values": values }))
}

fn mmd(bytes: &[u8], dim: usize, window: usize) -> Result<Value> {
    let rows = floats(bytes);
    let first = rows.len().checked_sub(window * dim);
    let (baseline, window) =
        rows.split_at(first.context("the window has more rows than the file")?);
    let start = Instant::now();
    let test = Mmd::fit(Vectors::new("baseline", baseline, dim)?);
    let options = TestOptions {
        permutations: 199,
        ..TestOptions::default()
    };
    let outcome = test.test(Vectors::new("window", window, dim)?, &options)?;
    let seconds = start.elapsed().as_secs_f64();
    let result = outcome.result().context("too few rows")?;
    Ok(json!({
        "seconds": seconds,
        "value": result.value,
        "p_value": result.p_value,
        "peak_mb": peak_memory()?,
    }))
}

/// Of this process, the file it read included.
fn peak_memory() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB"));
    let kilobytes: f64 = kilobytes.context("no VmHWM")?.trim().parse()?;
    Ok(kilobytes / 1e3)
}
