//! Estimated accuracy.

use driftline_stats::{Accuracy, EstimatedAccuracy, TestOptions};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::samples::rows;

/// Confidences from 0.5 to 1 of a model that is right less often than it says: confidence squared.
fn sure_of_itself(rows: usize, seed: u64) -> (Vec<f32>, Vec<usize>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..rows)
        .map(|_| {
            let confidence: f32 = random.random_range(0.5..1.0);
            let wrong = random.random::<f32>() >= confidence * confidence;
            (confidence, usize::from(wrong))
        })
        .unzip()
}

#[test]
fn the_estimate_is_that_of_scikit_learn() {
    let reference: Value =
        serde_json::from_str(include_str!("../references/accuracy.json")).unwrap();
    for case in reference.as_array().unwrap() {
        let values =
            |name: &str| -> Vec<f32> { serde_json::from_value(case[name].clone()).unwrap() };
        let right: Vec<bool> = serde_json::from_value(case["right"].clone()).unwrap();
        let labels: Vec<usize> = right.iter().map(|right| usize::from(!right)).collect();
        let confidence = values("confidence");
        let fitted = EstimatedAccuracy::fit(rows(&confidence, 1), Some(&labels)).unwrap();
        let window = values("window");
        let found = fitted
            .estimate(rows(&window, 1), &TestOptions::default())
            .unwrap();
        let Some(Accuracy::Calibrated(estimate)) = found else {
            panic!("{found:?}");
        };
        let expected = case["accuracy"].as_f64().unwrap();
        assert!(
            (estimate.value - expected).abs() < 1e-10,
            "{estimate:?} {expected}"
        );
    }
}

#[test]
fn the_interval_holds_the_accuracy_as_often_as_it_says() {
    for (m, n) in [(300, 50), (300, 600)] {
        let windows = 1_000;
        let missed = (0..windows).filter(|seed| {
            let (baseline, labels) = sure_of_itself(m, 2 * seed);
            let (window, wrong) = sure_of_itself(n, 2 * seed + 1);
            let fitted = EstimatedAccuracy::fit(rows(&baseline, 1), Some(&labels)).unwrap();
            let options = TestOptions {
                permutations: 50,
                seed: *seed,
                ..TestOptions::default()
            };
            let estimate = fitted
                .estimate(rows(&window, 1), &options)
                .unwrap()
                .unwrap()
                .estimate();
            let accuracy = 1.0 - wrong.iter().sum::<usize>() as f64 / n as f64;
            !(estimate.low..=estimate.high).contains(&accuracy)
        });
        let share = missed.count() as f64 / windows as f64;
        println!("{m} rows, windows of {n}: {share} missed");
        assert!((0.03..=0.07).contains(&share), "{m}, {n}: {share}");
    }
}

#[test]
fn without_labels_it_is_the_confidence_and_says_so() {
    let (baseline, labels) = sure_of_itself(500, 1);
    let window = [0.5, 0.75, 1.000_05, 1.0];
    let options = TestOptions::default();
    let raw = EstimatedAccuracy::fit(rows(&baseline, 1), None).unwrap();
    let found = raw.estimate(rows(&window, 1), &options).unwrap();
    let Some(Accuracy::Confidence(estimate)) = found else {
        panic!("{found:?}");
    };
    assert_eq!(estimate.value, 0.8125);
    assert!(estimate.low < 0.8 && estimate.high <= 1.0);
    let graded = EstimatedAccuracy::fit(rows(&baseline, 1), Some(&labels)).unwrap();
    let found = graded.estimate(rows(&window, 1), &options).unwrap();
    assert!(found.unwrap().estimate().value < 0.75);
}

#[test]
fn bad_input_is_refused_or_has_a_defined_answer() {
    let options = TestOptions::default();
    let baseline = [0.2, 0.8, 0.6, 0.4];
    let fit = |labels: Option<&[usize]>| EstimatedAccuracy::fit(rows(&baseline, 2), labels);
    assert!(fit(Some(&[1])).is_err());
    let graded = fit(Some(&[1, 9])).unwrap();
    assert!(graded.estimate(rows(&[0.5; 3], 3), &options).is_err());
    assert!(graded.estimate(rows(&[], 2), &options).unwrap().is_none());
    let raw = fit(None).unwrap();
    assert!(raw.estimate(rows(&[7.0, -3.0], 2), &options).is_err());
    // Logits can be calibrated; one row is enough, and so are rows of one confidence.
    for window in [[7.0, -3.0], [0.5, 0.5], [-0.0, 0.0]] {
        for blocks in [1, 1_000_000] {
            let options = TestOptions {
                block: blocks,
                ..options
            };
            let estimate = graded
                .estimate(rows(&window, 2), &options)
                .unwrap()
                .unwrap()
                .estimate();
            assert!(
                0.0 <= estimate.low && estimate.low <= estimate.value,
                "{estimate:?}"
            );
            assert!(
                estimate.value <= estimate.high && estimate.high <= 1.0,
                "{estimate:?}"
            );
        }
    }
    let none = EstimatedAccuracy::fit(rows(&[], 2), Some(&[])).unwrap();
    let found = none.estimate(rows(&baseline, 2), &options).unwrap();
    assert!(matches!(found, Some(Accuracy::Confidence(_))));
    let never = TestOptions {
        alpha: 0.0,
        ..options
    };
    assert!(graded.estimate(rows(&baseline, 2), &never).is_err());
}
