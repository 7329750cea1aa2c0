//! Distances and tests over histograms.

use driftline_stats::{
    Distance, DriftTest, PredictionShift, TestOptions, TestOutcome, bias_corrected_jsd, g_test,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::samples::{alarms, bad_input, rows, scores};

fn counts(value: &Value) -> Vec<u64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn close(found: f64, expected: &Value) {
    let expected = expected.as_f64().unwrap();
    assert!(
        (found - expected).abs() <= 1e-10 * expected.abs().max(1.0),
        "{found} is not {expected}"
    );
}

fn g_test_is(case: &Value) {
    let found = g_test(&counts(&case["baseline"]), &counts(&case["window"])).unwrap();
    let expected = &case["g_test"];
    close(found.statistic, &expected["statistic"]);
    close(found.p_value, &expected["p_value"]);
    assert_eq!(Some(found.degrees as u64), expected["degrees"].as_u64());
}

#[test]
fn values_are_those_of_numpy_and_scipy() {
    let reference: Value = serde_json::from_str(include_str!("../references/counts.json")).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let (baseline, window) = (counts(&case["baseline"]), counts(&case["window"]));
        for distance in Distance::ALL {
            close(
                distance.value(&baseline, &window).unwrap(),
                &case[distance.name()],
            );
        }
        let corrected = bias_corrected_jsd(&baseline, &window).unwrap();
        close(corrected, &case["bias_corrected_jsd"]);
        g_test_is(case);
    }
    for case in reference["merged"].as_array().unwrap() {
        g_test_is(case);
    }
}

#[test]
fn names_are_read_back() {
    for distance in Distance::ALL {
        assert_eq!(distance.name().parse::<Distance>().unwrap(), distance);
        let json = serde_json::to_value(distance).unwrap();
        assert_eq!(json, distance.name());
    }
}

#[test]
fn the_g_test_of_nothing_to_compare_says_nothing() {
    for (baseline, window) in [([5, 0], [9, 0]), ([1, 1], [1, 1])] {
        let found = g_test(&baseline, &window).unwrap();
        assert_eq!((found.statistic, found.p_value), (0.0, 1.0));
    }
    assert!(g_test(&[1], &[0]).is_err());
    assert!(g_test(&[], &[]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn distances_and_g_test_are_defined_and_no_distance_depends_on_the_order_of_the_bins(
        pairs in proptest::collection::vec((0_u64..500, 0_u64..50), 1..15),
    ) {
        let (mut baseline, mut window): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
        baseline[0] += 1;
        window[0] += 1;
        let test = g_test(&baseline, &window).unwrap();
        let values = Distance::ALL.map(|distance| distance.value(&baseline, &window).unwrap());
        prop_assert!((0.0..=1.0).contains(&test.p_value) && test.statistic >= 0.0);
        prop_assert!(values.iter().all(|value| value.is_finite() && *value >= 0.0));
        prop_assert!(values[3] <= 1.0 + 1e-12 && values[4] <= 1.0 + 1e-12);
        baseline.reverse();
        window.reverse();
        for (distance, value) in Distance::ALL.into_iter().zip(values) {
            prop_assert!((distance.value(&baseline, &window).unwrap() - value).abs() < 1e-9);
        }
    }
}

#[test]
fn clean_predictions_alarm_as_often_as_they_may() {
    for distance in Distance::ALL {
        for n in [20, 200] {
            let draw = |seed| {
                (
                    scores(400, 10, 1.0, 2 * seed),
                    scores(n, 10, 1.0, 2 * seed + 1),
                )
            };
            let share = alarms(1_000, 10, draw, |rows| PredictionShift::fit(rows, distance));
            println!("{distance}, {n} rows: {share}");
            assert!((0.03..=0.07).contains(&share), "{distance}, {n}: {share}");
        }
    }
}

#[test]
fn predictions_that_moved_are_seen_and_their_effect_has_no_bias() {
    let baseline = scores(20_000, 10, 0.0, 1);
    let moved = scores(400, 10, 1.5, 2);
    let many = scores(20_000, 10, 1.5, 3);
    let options = TestOptions::default();
    for distance in Distance::ALL {
        let test = PredictionShift::fit(rows(&baseline, 10), distance);
        let [few, many] = [&moved, &many].map(|window| {
            let outcome = test.test(rows(window, 10), &options).unwrap();
            *outcome.result().unwrap()
        });
        assert_eq!(few.p_value, 0.001);
        assert!(
            (few.effect / many.effect - 1.0).abs() < 0.25,
            "{distance}: {few:?} {many:?}"
        );
        assert!(few.expected > many.expected);
    }
}

#[test]
fn bad_rows_of_scores_have_a_defined_answer() {
    for distance in Distance::ALL {
        bad_input(|rows| PredictionShift::fit(rows, distance));
    }
}

#[test]
fn dependent_predictions_are_permuted_in_blocks() {
    // Each score stays for 20 rows.
    let stay = |rows: usize, seed| -> Vec<f32> {
        let each = scores(rows / 20, 5, 0.0, seed);
        let each = each.chunks_exact(5).flat_map(|row| row.repeat(20));
        each.collect()
    };
    let outcome = |window_rows, block, seed: u64| {
        let baseline = stay(6_000, 2 * seed);
        let test = PredictionShift::fit(rows(&baseline, 5), Distance::Jsd);
        let options = TestOptions {
            block,
            permutations: 199,
            ..TestOptions::default()
        };
        let window = stay(window_rows, 2 * seed + 1);
        test.test(rows(&window, 5), &options).unwrap()
    };
    let alarms = |block| {
        let outcomes = (0..200).map(|seed| outcome(1_200, block, seed));
        let p_values = outcomes.map(|outcome| outcome.result().unwrap().p_value);
        p_values.filter(|p| *p <= 0.05).count() as f64 / 200.0
    };
    let (alone, blocks) = (alarms(1), alarms(20));
    println!("alarms without blocks {alone}, with them {blocks}");
    // 5 % with a standard error of 1.5 %.
    assert!(alone > 0.5 && (0.005..=0.1).contains(&blocks));
    let few = TestOutcome::NotEnoughRows {
        rows: 280,
        needed: 300,
    };
    assert_eq!(outcome(280, 20, 1), few);
}
