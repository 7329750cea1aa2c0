//! Compares two sets of vectors that are in memory, whatever made them.

use driftline::core::{Result, RowSchema};
use driftline::stats::{Baseline, BaselineOptions, Sample};
use driftline::{DriftOptions, compare};

/// Length of a vector.
const DIM: usize = 16;

fn main() -> Result<()> {
    let baseline = Baseline::compile(&vectors(1, 1000, 0.0)?, BaselineOptions::default())?;
    for (name, window) in [
        ("as before", vectors(2, 300, 0.0)?),
        ("moved", vectors(3, 300, 0.3)?),
    ] {
        let report = compare(&baseline, &window, &DriftOptions::default())?;
        println!(
            "{name}: {:?}, p-value {:.3?}",
            report.verdict, report.p_value
        );
        for (statistic, one) in &report.statistics {
            println!(
                "  {statistic}: {:.4?}, {:.4?} without drift",
                one.value, one.expected
            );
        }
    }
    Ok(())
}

/// Vectors of noise around `mean`: in your program, the embeddings.
fn vectors(seed: u64, rows: usize, mean: f32) -> Result<Sample> {
    let mut state = seed;
    let mut uniform = || {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let values = (0..rows * DIM).map(|_| mean + uniform() + uniform() + uniform());
    // No scores and no image properties: what looks at them is left out.
    let schema = RowSchema::new(DIM, Vec::new())?;
    Sample::from_parts(schema, values.collect(), Vec::new(), Vec::new())
}
