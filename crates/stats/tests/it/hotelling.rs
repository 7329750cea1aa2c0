//! Moments and Hotelling's distance: against references, on clean and on drifted rows, and on rows that depend on each other.

use driftline_stats::{
    DriftTest, Hotelling, Moments, TestOptions, TestOutcome, TestResult, Vectors, drift_factor,
    jsd_p_value, noise_floor,
};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal, StudentT};
use rayon::prelude::*;
use serde_json::Value;

const DIM: usize = 16;

fn reference() -> Value {
    serde_json::from_str(include_str!("../references/hotelling.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

fn rows(value: &Value) -> Vec<f32> {
    numbers(value).iter().map(|value| *value as f32).collect()
}

fn vectors(values: &[f32], dim: usize) -> Vectors<'_> {
    Vectors::new("rows", values, dim).unwrap()
}

fn close(found: f64, expected: f64) {
    assert!(
        (found - expected).abs() <= 1e-10 * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}

fn result(baseline: &[f32], window: &[f32], dim: usize, options: &TestOptions) -> TestResult {
    let outcome = Hotelling::fit(vectors(baseline, dim)).test(vectors(window, dim), options);
    *outcome.unwrap().result().unwrap()
}

#[test]
fn moments_shrinkage_and_distance_are_those_of_the_references() {
    let reference = reference();
    let baseline = rows(&reference["baseline"]);
    let moments = Moments::of(vectors(&baseline, 4));
    for (found, expected) in moments.mean().into_iter().zip(numbers(&reference["mean"])) {
        close(found, expected);
    }
    let (shrunk, shrinkage) = moments.ledoit_wolf();
    close(shrinkage, reference["shrinkage"].as_f64().unwrap());
    let covariance = moments.covariance();
    for (matrix, name) in [(covariance, "covariance"), (shrunk, "ledoit_wolf")] {
        for (at, expected) in numbers(&reference[name]).into_iter().enumerate() {
            close(matrix[(at / 4, at % 4)], expected);
        }
    }
    let found = result(
        &baseline,
        &rows(&reference["window"]),
        4,
        &TestOptions::default(),
    );
    close(found.value, reference["distance"].as_f64().unwrap());
    close(
        jsd_p_value(0.05, 5, 1_000, 5_000),
        reference["jsd_p_value"].as_f64().unwrap(),
    );
    let limit = drift_factor(5, 0.001) * noise_floor(5, 1_000, 5_000);
    assert!((jsd_p_value(limit, 5, 1_000, 5_000) - 0.001).abs() < 1e-9);
}

/// Rows of independent values, or with a correlation with the row before.
fn made(count: usize, heavy: bool, correlation: f64, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let tails = StudentT::new(3.0).unwrap();
    let mut value = || -> f64 {
        if heavy {
            tails.sample(&mut random)
        } else {
            StandardNormal.sample(&mut random)
        }
    };
    let mut last: Vec<f64> = (0..DIM).map(|_| value()).collect();
    let fresh = (1.0 - correlation * correlation).sqrt();
    let mut rows = Vec::with_capacity(count * DIM);
    for _ in 0..count {
        for last in &mut last {
            *last = correlation * *last + fresh * value();
            rows.push(*last as f32);
        }
    }
    rows
}

/// Share of clean windows that are called drifted, of those that are answered.
fn alarms(
    windows: u64,
    sizes: (usize, usize),
    heavy: bool,
    correlation: f64,
    block: usize,
) -> Option<f64> {
    let outcomes: Vec<TestOutcome> = (0..windows)
        .into_par_iter()
        .map(|seed| {
            let baseline = made(sizes.0, heavy, correlation, 2 * seed);
            let window = made(sizes.1, heavy, correlation, 2 * seed + 1);
            let options = TestOptions {
                permutations: 199,
                seed,
                block,
                ..TestOptions::default()
            };
            let fitted = Hotelling::fit(vectors(&baseline, DIM));
            fitted.test(vectors(&window, DIM), &options).unwrap()
        })
        .collect();
    let found: Vec<f64> = outcomes
        .iter()
        .filter_map(TestOutcome::result)
        .map(|f| f.p_value)
        .collect();
    let drifted = found.iter().filter(|p| **p <= 0.05).count();
    (!found.is_empty()).then(|| drifted as f64 / found.len() as f64)
}

#[test]
fn clean_windows_alarm_as_often_as_promised() {
    for heavy in [false, true] {
        for sizes in [(500, 20), (500, 200), (2_000, 50), (500, 1_000)] {
            let share = alarms(1_000, sizes, heavy, 0.0, 1).unwrap();
            println!("{sizes:?}, heavy tails {heavy}: {share}");
            // 5 % with a standard error of 0.7 %.
            assert!(
                (0.03..=0.07).contains(&share),
                "{sizes:?}, {heavy}: {share}"
            );
        }
    }
}

#[test]
fn rows_that_depend_on_each_other_need_blocks() {
    // The first lag with an autocorrelation below 0.1 is 22.
    let share = alarms(400, (3_000, 1_000), false, 0.9, 22).unwrap();
    println!("with blocks: {share}");
    assert!(share <= 0.07, "{share}");
    assert!(alarms(40, (3_000, 1_000), false, 0.9, 1).unwrap() > 0.5);
    assert_eq!(alarms(3, (3_000, 50), false, 0.9, 22), None);
}

#[test]
fn the_detectable_effect_is_detected_in_nine_of_ten_windows() {
    let clean = result(
        &made(2_000, false, 0.0, 1),
        &made(100, false, 0.0, 2),
        DIM,
        &TestOptions::default(),
    );
    // Moved by the minimum_detectable_effect distance along one axis, of standard deviation 1.
    let moved = |seed| {
        let mut rows = made(100, false, 0.0, 1_000 + seed);
        rows.iter_mut()
            .step_by(DIM)
            .for_each(|value| *value += clean.minimum_detectable_effect as f32);
        rows
    };
    let seen = (0..200_u64).into_par_iter().filter(|seed| {
        let options = TestOptions {
            permutations: 199,
            seed: *seed,
            ..TestOptions::default()
        };
        result(
            &made(2_000, false, 0.0, 5_000 + seed),
            &moved(*seed),
            DIM,
            &options,
        )
        .p_value
            <= 0.05
    });
    let share = seen.count() as f64 / 200.0;
    println!(
        "minimum_detectable_effect {}, seen in {share}",
        clean.minimum_detectable_effect
    );
    assert!((0.82..=0.97).contains(&share), "{share}");
}

proptest! {
    #[test]
    fn moments_merge_to_the_whole_in_any_order(
        parts in proptest::collection::vec(proptest::collection::vec(-50.0_f32..50.0, 0..40), 1..12),
    ) {
        let parts: Vec<Vec<f32>> = parts.into_iter().map(|mut part| {
            part.truncate(part.len() / 3 * 3);
            part
        }).collect();
        let whole = Moments::of(vectors(&parts.concat(), 3));
        let merged = |parts: &mut dyn Iterator<Item = &Vec<f32>>| {
            let mut sum = Moments::new(3);
            for part in parts {
                sum.merge(&Moments::of(vectors(part, 3))).unwrap();
            }
            sum
        };
        for found in [merged(&mut parts.iter()), merged(&mut parts.iter().rev())] {
            prop_assert_eq!(found.rows(), whole.rows());
            for (found, expected) in found.mean().iter().zip(whole.mean()) {
                prop_assert!((found - expected).abs() < 1e-9);
            }
            let (found, expected) = (found.covariance(), whole.covariance());
            for row in 0..3 {
                for column in 0..3 {
                    prop_assert!((found[(row, column)] - expected[(row, column)]).abs() < 1e-6);
                }
            }
        }
    }
}
