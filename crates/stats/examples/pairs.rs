//! Time and peak memory of the tests over all pairs of rows: `cargo run --release --example pairs`.

use std::time::Instant;

use driftline_stats::{DriftTest, Energy, Mmd, TestOptions, Vectors};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

fn main() -> driftline_core::Result<()> {
    const DIM: usize = 128;
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut normal = |rows: usize| -> Vec<f32> {
        (0..rows * DIM)
            .map(|_| StandardNormal.sample(&mut random))
            .collect()
    };
    let baseline = normal(5_000);
    let baseline = Vectors::new("the baseline", &baseline, DIM)?;
    for rows in [50, 200, 1_000] {
        let window = normal(rows);
        let window = Vectors::new("the window", &window, DIM)?;
        for permutations in [199, 999] {
            let options = TestOptions {
                permutations,
                ..TestOptions::default()
            };
            let tests: [(&str, Box<dyn DriftTest>); 2] = [
                ("Mmd", Box::new(Mmd::fit(baseline))),
                ("Energy", Box::new(Energy::fit(baseline))),
            ];
            for (name, test) in tests {
                let start = Instant::now();
                let outcome = test.test(window, &options)?;
                let time = start.elapsed().as_secs_f64();
                let p = outcome.result().map(|result| result.p_value);
                println!("{name}, {rows} rows, {permutations} permutations: {time:.3} s, p {p:?}");
            }
        }
    }
    if let Ok(status) = std::fs::read_to_string("/proc/self/status") {
        status
            .lines()
            .filter(|line| line.starts_with("VmHWM"))
            .for_each(|line| println!("{line}"));
    }
    Ok(())
}
