//! How long a check takes: `cargo test --release -p driftline-stats --test it -- speed:: --ignored --nocapture`.

use std::time::Instant;

use driftline_core::RowSchema;
use driftline_stats::{Baseline, BaselineOptions, Sample, Space, Statistic, TestOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Rows of 128 values around 10 centres, with 10 scores and 9 image properties.
fn sample(rows: usize, seed: u64) -> Sample {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let schema = RowSchema::new(128, (0..10).map(|class| format!("class {class}")).collect());
    let names = (0..9)
        .map(|property| format!("property {property}"))
        .collect();
    let mut value = |centre: f32| {
        centre
            + (0..4)
                .map(|_| random.random_range(-1.0_f32..1.0))
                .sum::<f32>()
    };
    let embeddings = (0..rows * 128)
        .map(|i| value(((i / 128) % 10 * (i % 128) % 7) as f32))
        .collect();
    let scores = (0..rows * 10).map(|_| value(5.0)).collect();
    let properties = (0..rows * 9).map(|_| value(1.0)).collect();
    Sample::from_parts(
        schema.unwrap().with_properties(names),
        embeddings,
        scores,
        properties,
    )
    .unwrap()
}

#[test]
#[ignore = "a measurement"]
fn each_statistic_on_1000_rows() {
    let start = Instant::now();
    let baseline = Baseline::compile(&sample(50_000, 1), BaselineOptions::default()).unwrap();
    println!("compile 50,000 rows: {:?}", start.elapsed());
    let window = sample(1_000, 2);
    let options = TestOptions::default();
    for statistic in Statistic::ALL {
        let start = Instant::now();
        let test = baseline.test(statistic).unwrap().unwrap();
        let fitted = start.elapsed();
        let rows = window.space(statistic.space()).unwrap().unwrap();
        test.test(rows, &options).unwrap();
        let start = Instant::now();
        test.test(rows, &options).unwrap();
        println!(
            "{statistic:>16}: fit {fitted:?}, test {:?}",
            start.elapsed()
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn the_default_check_of_1000_rows() {
    let baseline = Baseline::compile(&sample(5_000, 1), BaselineOptions::default()).unwrap();
    let (window, options) = (sample(1_000, 2), TestOptions::default());
    let check = || {
        baseline
            .check(&window, &Statistic::DEFAULT, &options)
            .unwrap()
    };
    check();
    let start = Instant::now();
    for _ in 0..100 {
        check();
    }
    println!("default check: {:?}", start.elapsed() / 100);
    assert!(window.space(Space::Scores).unwrap().is_some());
}
