//! The domain classifier: its area under the curve, its false alarms, and what it sees.

use driftline_stats::{
    Classifier, DomainClassifier, DriftTest, TestOptions, TestOutcome, TestResult, Vectors, roc_auc,
};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde_json::Value;

const BOTH: [Classifier; 2] = [Classifier::Discriminant, Classifier::Logistic];

fn vectors(values: &[f32], dim: usize) -> Vectors<'_> {
    Vectors::new("rows", values, dim).unwrap()
}

/// Correlated columns of different scale, moved by `shift` standard deviations.
fn rows(count: usize, dim: usize, shift: f32, random: &mut ChaCha8Rng) -> Vec<f32> {
    let mut normal = || -> f32 { StandardNormal.sample(random) };
    (0..count)
        .flat_map(|_| {
            let common = normal();
            let values = (0..dim).map(|at| (at as f32 + 1.0) * (9.0 + shift + common + normal()));
            values.collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_area_is_that_of_scikit_learn() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../references/classifier.json")).unwrap();
    for case in cases {
        let numbers = |name: &str| -> Vec<f32> {
            let values = case[name].as_array().unwrap().iter();
            values.map(|value| value.as_f64().unwrap() as f32).collect()
        };
        let found = roc_auc(&numbers("baseline"), &numbers("window"));
        let expected = case["area"].as_f64().unwrap();
        assert!(
            (found - expected).abs() < 1e-10,
            "{found} is not {expected}"
        );
    }
    assert_eq!(roc_auc(&[], &[1.0]), 0.5);
    assert_eq!(roc_auc(&[0.0], &[-0.0]), 0.5);
}

#[test]
fn clean_windows_alarm_as_often_as_the_p_value_says() {
    let cases = [
        (Classifier::Discriminant, 20, 2_000),
        (Classifier::Discriminant, 100, 1_000),
        (Classifier::Logistic, 40, 1_000),
    ];
    for (classifier, count, windows) in cases {
        let outcomes: Vec<TestResult> = (0..windows)
            .into_par_iter()
            .map(|seed| {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                let fitted =
                    DomainClassifier::fit(vectors(&rows(150, 6, 0.0, &mut random), 6), classifier);
                let options = TestOptions {
                    permutations: 59,
                    seed,
                    ..TestOptions::default()
                };
                let outcome = fitted.test(vectors(&rows(count, 6, 0.0, &mut random), 6), &options);
                *outcome.unwrap().result().unwrap()
            })
            .collect();
        let share = |alarm: &dyn Fn(&TestResult) -> bool| {
            outcomes.iter().filter(|result| alarm(result)).count() as f64 / windows as f64
        };
        let alarms = share(&|result| result.p_value <= 0.05);
        let (n, m) = (count as f64, 150.0);
        let deviation = ((n + m + 1.0) / (12.0 * n * m)).sqrt();
        let mann_whitney = share(&|result| (result.value - 0.5) / deviation >= 1.645);
        println!("{classifier:?}, {count} rows: {alarms}; by Mann-Whitney {mann_whitney}");
        assert!(
            (0.03..=0.07).contains(&alarms),
            "{classifier:?}, {count}: {alarms}"
        );
        // Why the p-value is by permutation.
        assert!(mann_whitney > 0.08, "{mann_whitney}");
    }
}

#[test]
fn a_moved_window_is_seen() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let baseline = rows(1_000, 8, 0.0, &mut random);
    let (moved, clean) = (
        rows(100, 8, 1.0, &mut random),
        rows(100, 8, 0.0, &mut random),
    );
    for classifier in BOTH {
        let fitted = DomainClassifier::fit(vectors(&baseline, 8), classifier);
        let test = |window| {
            let outcome = fitted.test(vectors(window, 8), &TestOptions::default());
            *outcome.unwrap().result().unwrap()
        };
        let seen = test(&moved);
        assert!(seen.p_value <= 1.0 / 200.0 && seen.effect > seen.minimum_detectable_effect);
        // The best that can be: the means are sqrt(8 / 9) apart in the direction of all, Phi(0.94 / sqrt 2).
        assert!((0.68..0.8).contains(&seen.value), "{}", seen.value);
        let clean = test(&clean);
        assert!(clean.p_value > 0.05 && (clean.expected - 0.5).abs() < 0.03);
    }
}

#[test]
fn threads_change_nothing() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let (baseline, window) = (
        rows(300, 5, 0.0, &mut random),
        rows(70, 5, 0.1, &mut random),
    );
    for classifier in BOTH {
        let test = |threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            let fitted = DomainClassifier::fit(vectors(&baseline, 5), classifier);
            pool.install(|| {
                fitted
                    .test(vectors(&window, 5), &TestOptions::default())
                    .unwrap()
            })
        };
        assert_eq!(test(1), test(3));
    }
}

#[test]
fn odd_rows_have_an_answer() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let dim = 12;
    let mut constant = rows(40, dim, 0.0, &mut random);
    constant
        .iter_mut()
        .step_by(dim)
        .for_each(|value| *value = 0.3);
    let sides = [
        vec![],
        rows(1, dim, 0.0, &mut random),
        rows(5, dim, 0.0, &mut random),
        constant,
        vec![0.3; 30 * dim],
        [f32::MAX, 0.0, -f32::MAX].repeat(10 * dim),
        [1e-40, 0.0, 0.0, 1e-40, 0.0].repeat(5 * dim),
    ];
    for (baseline, classifier) in sides
        .iter()
        .flat_map(|side| BOTH.map(|classifier| (side, classifier)))
    {
        let fitted = DomainClassifier::fit(vectors(baseline, dim), classifier);
        for (window, block) in sides.iter().flat_map(|side| [(side, 1), (side, 2)]) {
            let options = TestOptions {
                block,
                permutations: 19,
                ..TestOptions::default()
            };
            let outcome = fitted.test(vectors(window, dim), &options).unwrap();
            if let Some(result) = outcome.result() {
                let TestResult {
                    value,
                    expected,
                    effect,
                    p_value,
                    minimum_detectable_effect,
                } = *result;
                assert!(
                    [value, expected, effect]
                        .iter()
                        .all(|x| (0.0..=1.0).contains(x))
                );
                assert!(minimum_detectable_effect.is_finite() && minimum_detectable_effect >= 0.0);
                assert!(p_value > 0.0 && p_value <= 1.0);
            }
        }
        assert!(
            fitted
                .test(vectors(&[0.0; 6], 3), &TestOptions::default())
                .is_err()
        );
    }
    let equal = DomainClassifier::fit(vectors(&sides[4], dim), Classifier::Discriminant);
    let outcome = equal
        .test(vectors(&sides[4][..10 * dim], dim), &TestOptions::default())
        .unwrap();
    assert_eq!(outcome.result().unwrap().p_value, 1.0);
    let few = equal
        .test(vectors(&sides[1], dim), &TestOptions::default())
        .unwrap();
    assert_eq!(few, TestOutcome::NotEnoughRows { rows: 1, needed: 5 });
}
