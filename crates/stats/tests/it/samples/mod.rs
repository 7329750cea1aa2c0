//! Rows to test with.

use driftline_stats::{DriftTest, TestOptions, Vectors};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use rayon::prelude::*;

/// Normal rows of unit variance around `mean`, of which each two components correlate by 0.8.
pub fn dependent(rows: usize, dim: usize, mean: f32, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..rows)
        .flat_map(|_| {
            let common: f32 = random.sample(StandardNormal);
            let own = |_| {
                mean + 0.8_f32.sqrt() * common
                    + 0.2_f32.sqrt() * random.sample::<f32, _>(StandardNormal)
            };
            (0..dim).map(own).collect::<Vec<_>>()
        })
        .collect()
}

/// As [`dependent`], turned into the probabilities of classes.
pub fn scores(rows: usize, classes: usize, mean: f32, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..rows)
        .flat_map(|_| {
            let logit = |class| {
                let shift = if class == 0 { mean } else { 0.0 };
                (shift + 2.0 * random.sample::<f32, _>(StandardNormal)).exp()
            };
            let odds: Vec<f32> = (0..classes).map(logit).collect();
            let sum: f32 = odds.iter().sum();
            odds.into_iter().map(move |odds| odds / sum)
        })
        .collect()
}

/// Rows of `dim` values.
pub fn rows(values: &[f32], dim: usize) -> Vectors<'_> {
    Vectors::new("rows", values, dim).unwrap()
}

/// The share of windows that alarm at 5 %, of pairs of baseline and window that are drawn anew for each seed.
pub fn alarms<T: DriftTest>(
    windows: u64,
    dim: usize,
    draw: impl Fn(u64) -> (Vec<f32>, Vec<f32>) + Sync,
    fit: impl Fn(Vectors<'_>) -> T + Sync,
) -> f64 {
    let alarms = (0..windows).into_par_iter().filter(|seed| {
        let (baseline, window) = draw(*seed);
        let options = TestOptions {
            permutations: 99,
            seed: *seed,
            ..TestOptions::default()
        };
        let outcome = fit(rows(&baseline, dim)).test(rows(&window, dim), &options);
        outcome.unwrap().result().unwrap().p_value <= options.alpha
    });
    alarms.count() as f64 / windows as f64
}

/// What each test owes: no panic and no NaN whatever the rows, and an error for rows of another space.
pub fn bad_input<T: DriftTest>(fit: impl Fn(Vectors<'_>) -> T) {
    let dim = 3;
    let many = dependent(300, dim, 0.0, 1);
    let constant = vec![1.5; 300 * dim];
    let signs: Vec<f32> = (0..300 * dim)
        .map(|i| if i % 2 == 0 { 0.0 } else { -0.0 })
        .collect();
    for block in [1, 4, 1_000] {
        let options = TestOptions {
            permutations: 19,
            block,
            ..TestOptions::default()
        };
        for baseline in [&many, &constant, &signs] {
            for baseline_rows in [0, 1, 2, 30, 300] {
                let test = fit(rows(&baseline[..baseline_rows * dim], dim));
                for window in [&many, &constant, &signs] {
                    for window_rows in [0, 1, 2, 300] {
                        let window = rows(&window[..window_rows * dim], dim);
                        let outcome = test.test(window, &options).unwrap();
                        let Some(result) = outcome.result() else {
                            continue;
                        };
                        assert!(window_rows > 0 && baseline_rows > 0);
                        for value in [
                            result.value,
                            result.expected,
                            result.effect,
                            result.minimum_detectable_effect,
                        ] {
                            assert!(value.is_finite() && value >= 0.0, "{result:?}");
                        }
                        assert!(result.p_value > 0.0 && result.p_value <= 1.0);
                    }
                }
                assert!(test.test(rows(&many, 4), &options).is_err());
                let never = TestOptions {
                    permutations: 0,
                    ..options
                };
                assert!(test.test(rows(&many, dim), &never).is_err());
            }
        }
    }
}
