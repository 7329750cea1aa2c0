//! `kmeans FILE DIM K`: clusters f32 rows of a raw little-endian file, and prints seconds and inertia as JSON.
//! `kmeans_vs_sklearn.py` runs it.

use std::time::Instant;

use anyhow::{Context, Result};
use driftline::stats::{KMeans, KMeansConfig};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().context("usage: kmeans FILE DIM K");
    let (file, dim, k) = (next()?, next()?.parse()?, next()?.parse()?);
    let bytes = std::fs::read(&file).with_context(|| format!("cannot read {file}"))?;
    let values = bytes.as_chunks().0.iter();
    let rows: Vec<f32> = values.map(|value| f32::from_le_bytes(*value)).collect();
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
    println!(
        "{}",
        serde_json::json!({ "seconds": seconds, "inertia": inertia })
    );
    Ok(())
}
