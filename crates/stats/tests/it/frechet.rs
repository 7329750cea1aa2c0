//! The Fréchet distance: its value, its false alarms, and what it sees.

use driftline_stats::{
    DriftTest, Frechet, FrechetByClass, Moments, TestOptions, TestOutcome, TestResult, Vectors,
    frechet,
};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;
use serde_json::Value;

fn vectors(values: &[f32], dim: usize) -> Vectors<'_> {
    Vectors::new("rows", values, dim).unwrap()
}

fn normal(rows: usize, dim: usize, scale: f32, random: &mut ChaCha8Rng) -> Vec<f32> {
    (0..rows * dim)
        .map(|at| {
            let value: f32 = StandardNormal.sample(random);
            (1 + at % dim) as f32 * (3.0 + scale * value)
        })
        .collect()
}

fn numbers(value: &Value) -> Vec<f32> {
    let values = value.as_array().unwrap();
    values.iter().map(|x| x.as_f64().unwrap() as f32).collect()
}

#[test]
fn values_are_those_of_scipy_and_driftlens() {
    let cases: Vec<Value> =
        serde_json::from_str(include_str!("../references/frechet.json")).unwrap();
    for case in cases {
        let dim = case["dim"].as_u64().unwrap() as usize;
        let (baseline, window) = (numbers(&case["baseline"]), numbers(&case["window"]));
        let [baseline, window] = [&baseline, &window].map(|side| vectors(side, dim));
        let close = |found: f64, name: &str| {
            let expected = case[name].as_f64().unwrap();
            let difference = (found / expected - 1.0).abs();
            assert!(difference < 1e-10, "{name}: {found} is not {expected}");
        };
        let moments = [baseline, window].map(Moments::of);
        close(frechet(&moments[0], &moments[1]).unwrap(), "frechet");
        let components = case["components"].as_u64().unwrap() as usize;
        let options = TestOptions::default();
        let value = |test: &dyn DriftTest, window| {
            test.test(window, &options).unwrap().result().unwrap().value
        };
        close(value(&Frechet::fit(baseline), window), "frechet");
        close(value(&Frechet::fit(window), baseline), "frechet");
        let driftlens = Frechet::driftlens_compat(baseline, components).unwrap();
        close(value(&driftlens, window), "driftlens");
    }
}

#[test]
fn clean_windows_alarm_as_often_as_the_p_value_says() {
    for (rows, windows) in [(20, 2_000), (50, 2_000), (200, 1_000)] {
        let outcomes: Vec<TestResult> = (0..windows)
            .into_par_iter()
            .map(|seed| {
                let mut random = ChaCha8Rng::seed_from_u64(seed);
                let baseline = normal(300, 4, 1.0, &mut random);
                let window = normal(rows, 4, 1.0, &mut random);
                let (permutations, alpha) = (99, 0.05);
                let options = TestOptions {
                    seed,
                    permutations,
                    alpha,
                    block: 1,
                };
                let fitted = Frechet::driftlens_compat(vectors(&baseline, 4), 3).unwrap();
                let outcome = fitted.test(vectors(&window, 4), &options).unwrap();
                *outcome.result().unwrap()
            })
            .collect();
        let alarms = outcomes
            .iter()
            .filter(|result| result.p_value <= 0.05)
            .count();
        let share = alarms as f64 / windows as f64;
        println!("{rows} rows: {share}");
        assert!((0.03..=0.07).contains(&share), "{rows} rows: {share}");
    }
}

#[test]
fn a_change_of_the_spread_is_seen() {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let fitted = Frechet::fit(vectors(&normal(2_000, 8, 1.0, &mut random), 8));
    let test = |window: Vec<f32>| {
        let outcome = fitted.test(vectors(&window, 8), &TestOptions::default());
        *outcome.unwrap().result().unwrap()
    };
    let drifted = test(normal(200, 8, 1.3, &mut random));
    assert_eq!(drifted.p_value, 1.0 / 200.0);
    assert!(drifted.effect > drifted.minimum_detectable_effect);
    let clean = test(normal(200, 8, 1.0, &mut random));
    assert!(clean.p_value > 0.05 && clean.effect < clean.minimum_detectable_effect);
}

#[test]
fn each_class_has_its_answer() {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let (mut baseline, mut window) = (
        normal(300, 3, 1.0, &mut random),
        normal(90, 3, 1.0, &mut random),
    );
    let classes = |rows: usize, count: usize| (0..rows).map(|row| row % count).collect::<Vec<_>>();
    // Class 1 moves, 3 is new, 4 has gone, and 5 has one row.
    for row in (1..90).step_by(3) {
        window[row * 3..][..3]
            .iter_mut()
            .for_each(|value| *value += 5.0);
    }
    let (mut before, mut after) = (classes(300, 3), classes(90, 3));
    for (rows, classes, more) in [
        (&mut baseline, &mut before, [4, 4, 5, 5]),
        (&mut window, &mut after, [3, 3, 3, 5]),
    ] {
        rows.extend(normal(4, 3, 1.0, &mut random));
        classes.extend(more);
    }
    let options = TestOptions::default();
    for fitted in [
        FrechetByClass::fit(vectors(&baseline, 3), &before).unwrap(),
        FrechetByClass::driftlens_compat(vectors(&baseline, 3), &before, 2).unwrap(),
    ] {
        let outcomes = fitted.test(vectors(&window, 3), &after, &options).unwrap();
        let p = |class: usize| outcomes[&class].result().unwrap().p_value;
        assert!(p(0) > 0.05 && p(1) == 1.0 / 200.0 && p(2) > 0.05);
        for (class, rows) in [(3, 0), (4, 0), (5, 1)] {
            assert_eq!(
                outcomes[&class],
                TestOutcome::NotEnoughRows { rows, needed: 2 }
            );
        }
        assert!(
            fitted
                .test(vectors(&window, 3), &after[1..], &options)
                .is_err()
        );
        assert!(
            fitted
                .test(vectors(&[0.0; 4], 2), &[0, 0], &options)
                .is_err()
        );
    }
    assert!(FrechetByClass::fit(vectors(&baseline, 3), &after).is_err());
}

#[test]
fn odd_rows_have_an_answer() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut constant = normal(40, 5, 1.0, &mut random);
    constant
        .iter_mut()
        .step_by(5)
        .for_each(|value| *value = 2.0);
    let sides = [
        vec![],
        normal(1, 5, 1.0, &mut random),
        normal(2, 5, 1.0, &mut random),
        normal(3, 5, 1.0, &mut random),
        constant,
        vec![0.0; 60],
        vec![f32::MAX; 60],
        [f32::MAX, 0.0, -f32::MAX].repeat(20),
        [1e-40, 0.0, 1e-40].repeat(20),
    ];
    let options = TestOptions {
        permutations: 19,
        ..TestOptions::default()
    };
    for baseline in &sides {
        let baseline = vectors(baseline, 5);
        for fitted in [
            Frechet::fit(baseline),
            Frechet::driftlens_compat(baseline, 150).unwrap(),
        ] {
            for window in &sides {
                let outcome = fitted.test(vectors(window, 5), &options).unwrap();
                let Some(result) = outcome.result() else {
                    assert!(window.len() < 10 || baseline.rows() < 2);
                    continue;
                };
                let TestResult {
                    value,
                    expected,
                    effect,
                    p_value,
                    minimum_detectable_effect,
                } = *result;
                assert!(
                    [value, expected, effect, minimum_detectable_effect]
                        .iter()
                        .all(|x| x.is_finite() && *x >= 0.0)
                );
                assert!(p_value > 0.0 && p_value <= 1.0);
            }
            assert!(fitted.test(vectors(&[0.0; 8], 4), &options).is_err());
        }
    }
    let equal = Frechet::fit(vectors(&[0.3; 60], 5)).test(vectors(&[0.3; 30], 5), &options);
    assert_eq!(equal.unwrap().result().unwrap().p_value, 1.0);
    assert!(frechet(&Moments::new(2), &Moments::new(3)).is_err());
    assert!(frechet(&Moments::new(2), &Moments::new(2)).is_err());
}

#[test]
fn dependent_rows_and_threads_change_nothing_but_what_they_should() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let rows = normal(500, 3, 1.0, &mut random);
    let frames: Vec<f32> = rows.chunks_exact(3).flat_map(|row| row.repeat(6)).collect();
    let fitted = Frechet::fit(vectors(&frames[..6_000], 3));
    let test = |block, threads| {
        let options = TestOptions {
            block,
            ..TestOptions::default()
        };
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| fitted.test(vectors(&frames[6_000..], 3), &options).unwrap())
    };
    assert_eq!(test(6, 1), test(6, 3));
    let (blind, aware) = (test(1, 2), test(6, 2));
    assert!(blind.result().unwrap().expected < aware.result().unwrap().expected / 3.0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_distance_is_symmetric_and_scales_with_the_square(
        values in proptest::collection::vec(-9.0_f32..9.0, 60),
        factor in 0.5_f32..8.0,
    ) {
        let moments = |values: &[f32]| Moments::of(vectors(values, 3));
        let (a, b) = (moments(&values[..36]), moments(&values[36..]));
        let distance = frechet(&a, &b).unwrap();
        prop_assert!((distance - frechet(&b, &a).unwrap()).abs() < 1e-6 * (1.0 + distance));
        prop_assert!(frechet(&a, &a).unwrap() < 1e-5);
        let scaled: Vec<f32> = values.iter().map(|value| value * factor).collect();
        let scaled = frechet(&moments(&scaled[..36]), &moments(&scaled[36..])).unwrap();
        let expected = distance * f64::from(factor).powi(2);
        prop_assert!((scaled - expected).abs() < 1e-4 * (1.0 + expected));
    }
}
