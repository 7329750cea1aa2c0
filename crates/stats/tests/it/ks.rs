//! The Kolmogorov-Smirnov test, of components and of scores.

use driftline_stats::{DriftTest, DriftedComponents, ScoreShift, TestOptions, ks};
use proptest::prelude::*;
use serde_json::Value;

use crate::samples::{alarms, bad_input, dependent, rows, scores};

#[test]
fn distance_and_probability_are_those_of_scipy() {
    let reference: Value = serde_json::from_str(include_str!("../references/ks.json")).unwrap();
    for case in reference.as_array().unwrap() {
        let values =
            |side: &str| -> Vec<f32> { serde_json::from_value(case[side].clone()).unwrap() };
        let (baseline, window) = (values("baseline"), values("window"));
        let (distance, probability) = ks(&baseline, &window);
        let expected = |name: &str| case[name].as_f64().unwrap();
        assert!((distance - expected("distance")).abs() < 1e-12);
        assert!((probability - expected("p_value")).abs() < 1e-12);
        if window.len() >= 20 {
            let ratio = probability / expected("asymptotic");
            assert!((ratio - 1.0).abs() < 0.1, "{ratio}");
        }
        // One component: the value of the test is whether it is rejected, and permutation agrees about how likely it is.
        let test = ScoreShift::fit(rows(&baseline, 1));
        let options = TestOptions {
            permutations: 1999,
            ..TestOptions::default()
        };
        let outcome = test.test(rows(&window, 1), &options).unwrap();
        let Some(result) = outcome.result() else {
            assert_eq!(window.len(), 1);
            continue;
        };
        assert!((result.value - distance).abs() < 1e-12);
        assert!(
            (result.p_value - probability).abs() < 0.06,
            "{result:?} {probability}"
        );
    }
}

#[test]
fn no_values_are_no_distance() {
    assert_eq!(ks(&[], &[1.0]), (0.0, 1.0));
    assert_eq!(ks(&[1.0], &[]), (0.0, 1.0));
    assert_eq!(ks(&[0.0, -0.0], &[-0.0]), (0.0, 1.0));
    let (distance, probability) = ks(&[0.0; 500], &[1.0; 500]);
    assert_eq!(distance, 1.0);
    assert!((0.0..1e-100).contains(&probability));
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_distance_is_symmetric_and_does_not_change_where_the_order_does_not(
        baseline in proptest::collection::vec(-20_i32..20, 1..60),
        window in proptest::collection::vec(-20_i32..20, 1..60),
    ) {
        let (b, w): (Vec<f32>, Vec<f32>) = (
            baseline.iter().map(|x| *x as f32).collect(),
            window.iter().map(|x| *x as f32).collect(),
        );
        let (distance, probability) = ks(&b, &w);
        prop_assert!((0.0..=1.0).contains(&distance) && (0.0..=1.0).contains(&probability));
        prop_assert_eq!(ks(&w, &b), (distance, probability));
        let cube = |x: &f32| x * x * x - 7.0;
        let (b, w): (Vec<f32>, Vec<f32>) = (b.iter().map(cube).collect(), w.iter().map(cube).collect());
        prop_assert_eq!(ks(&b, &w), (distance, probability));
        prop_assert_eq!(ks(&b, &b), (0.0, 1.0));
    }
}

#[test]
fn clean_windows_alarm_as_often_as_they_may() {
    for n in [20, 200] {
        let draw = |seed| {
            (
                dependent(300, 8, 0.0, 2 * seed),
                dependent(n, 8, 0.0, 2 * seed + 1),
            )
        };
        let share = alarms(1_000, 8, draw, DriftedComponents::fit);
        println!("components, {n} rows: {share}");
        assert!((0.03..=0.07).contains(&share), "components, {n}: {share}");
        // Many values are tied.
        let draw = |seed| {
            let positive = |rows: Vec<f32>| rows.iter().map(|x| (x - 0.5).max(0.0)).collect();
            let (baseline, window) = draw(seed);
            (positive(baseline), positive(window))
        };
        let share = alarms(1_000, 8, draw, DriftedComponents::fit);
        println!("tied components, {n} rows: {share}");
        assert!((0.03..=0.07).contains(&share), "tied, {n}: {share}");
        let draw = |seed| {
            (
                scores(300, 5, 0.0, 2 * seed),
                scores(n, 5, 0.0, 2 * seed + 1),
            )
        };
        let share = alarms(1_000, 5, draw, ScoreShift::fit);
        println!("scores, {n} rows: {share}");
        assert!((0.03..=0.07).contains(&share), "scores, {n}: {share}");
    }
}

#[test]
fn drift_is_seen() {
    let options = TestOptions::default();
    let mut drifted = dependent(100, 10, 0.0, 2);
    for row in drifted.chunks_exact_mut(10) {
        row[3] += 1.0;
        row[7] *= 3.0;
    }
    let test = DriftedComponents::fit(rows(&dependent(2_000, 10, 0.0, 1), 10));
    let outcome = test.test(rows(&drifted, 10), &options).unwrap();
    let result = outcome.result().unwrap();
    assert_eq!((result.value, result.p_value), (0.2, 0.001));
    let test = ScoreShift::fit(rows(&scores(2_000, 10, 0.0, 1), 10));
    let outcome = test
        .test(rows(&scores(100, 10, 2.0, 2), 10), &options)
        .unwrap();
    let result = outcome.result().unwrap();
    assert_eq!(result.p_value, 0.001);
    assert!(
        result.effect > 0.1 && result.effect < result.value,
        "{result:?}"
    );
}

#[test]
fn threads_change_nothing_nor_does_a_window_larger_than_the_baseline() {
    let (few, many) = (dependent(90, 4, 0.1, 1), dependent(300, 4, 0.0, 2));
    let outcome = |threads, baseline, window| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let options = TestOptions::default();
        pool.unwrap().install(|| {
            let test = DriftedComponents::fit(rows(baseline, 4));
            test.test(rows(window, 4), &options).unwrap()
        })
    };
    let expected = outcome(1, &many, &few);
    assert_eq!(expected, outcome(3, &many, &few));
    let (expected, turned) = (*expected.result().unwrap(), outcome(2, &few, &many));
    let turned = turned.result().unwrap();
    assert_eq!(expected.value, turned.value);
    assert!((expected.p_value - turned.p_value).abs() < 0.05);
}

#[test]
fn bad_rows_have_a_defined_answer() {
    bad_input(DriftedComponents::fit);
    bad_input(ScoreShift::fit);
}
