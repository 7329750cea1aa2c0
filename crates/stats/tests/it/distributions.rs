//! The tests that compare whole distributions or their means: values against NumPy and SciPy, false alarms, laws.

use crate::samples;
use driftline_stats::{
    Centroid, CentroidDistance, DriftTest, Energy, Mmd, SlicedWasserstein, TestOptions,
    TestOutcome, TestResult, Vectors,
};
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

type Fit = fn(Vectors<'_>) -> Box<dyn DriftTest>;

/// Every statistic, fitted to a baseline.
const ALL: [(&str, Fit); 5] = [
    ("Mmd", |baseline| Box::new(Mmd::fit(baseline))),
    ("Energy", |baseline| Box::new(Energy::fit(baseline))),
    ("SlicedWasserstein", |baseline| {
        Box::new(SlicedWasserstein::fit(baseline))
    }),
    ("Euclidean", |baseline| {
        Box::new(Centroid::fit(baseline, CentroidDistance::Euclidean))
    }),
    ("Cosine", |baseline| {
        Box::new(Centroid::fit(baseline, CentroidDistance::Cosine))
    }),
];

fn vectors(values: &[f32], dim: usize) -> Vectors<'_> {
    Vectors::new("rows", values, dim).unwrap()
}

fn options(permutations: usize) -> TestOptions {
    TestOptions {
        permutations,
        ..TestOptions::default()
    }
}

fn outcome(
    fit: Fit,
    baseline: &[f32],
    window: &[f32],
    dim: usize,
    options: &TestOptions,
) -> TestOutcome {
    let test = fit(vectors(baseline, dim));
    test.test(vectors(window, dim), options).unwrap()
}

fn result(fit: Fit, baseline: &[f32], window: &[f32], dim: usize) -> TestResult {
    let outcome = outcome(fit, baseline, window, dim, &options(99));
    *outcome.result().unwrap()
}

/// Rows of four components that depend on each other and are not normal, about `shift`.
fn rows(count: usize, shift: f32, random: &mut ChaCha8Rng) -> Vec<f32> {
    (0..count)
        .flat_map(|_| {
            let common: f32 = StandardNormal.sample(random);
            let mut own = || -> f32 { StandardNormal.sample(&mut *random) };
            [own() + common, own() - common, own().exp(), own()].map(|value| value + shift)
        })
        .collect()
}

fn close(value: f64, expected: f64, what: &str) {
    assert!(
        (value - expected).abs() < 1e-10 * expected.abs().max(1.0),
        "{what}: {value} instead of {expected}"
    );
}

#[test]
fn values_of_numpy_and_scipy() {
    let cases = include_str!("../references/distributions.json");
    let cases: Vec<serde_json::Value> = serde_json::from_str(cases).unwrap();
    for case in &cases {
        let numbers = |key: &str| -> Vec<f32> {
            let numbers = case[key].as_array().unwrap();
            numbers.iter().map(|v| v.as_f64().unwrap() as f32).collect()
        };
        let number = |key: &str| case[key].as_f64().unwrap();
        let (baseline, window) = (numbers("baseline"), numbers("window"));
        let dim = case["dim"].as_u64().unwrap() as usize;
        close(
            Mmd::fit(vectors(&baseline, dim)).sigma(),
            number("sigma"),
            "sigma",
        );
        for (name, key) in [
            ("Mmd", "mmd"),
            ("Energy", "energy"),
            ("SlicedWasserstein", "wasserstein"),
            ("Euclidean", "euclidean"),
            ("Cosine", "cosine"),
        ] {
            if name == "SlicedWasserstein" && dim > 1 {
                continue; // The reference has directions of its own, see the tests beside it.
            }
            let fit = ALL.iter().find(|(other, _)| *other == name).unwrap().1;
            let value = result(fit, &baseline, &window, dim).value;
            close(value, number(key), key);
        }
    }
}

#[test]
fn clean_windows_alarm_as_often_as_the_level_says() {
    const WINDOWS: usize = 2_000;
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut alarms = [0; ALL.len()];
    for seed in 0..WINDOWS {
        let (baseline, window) = (rows(50, 0.0, &mut random), rows(20, 0.0, &mut random));
        let options = TestOptions {
            seed: seed as u64,
            ..options(99)
        };
        for ((_, fit), alarms) in ALL.iter().zip(&mut alarms) {
            let outcome = outcome(*fit, &baseline, &window, 4, &options);
            *alarms += usize::from(outcome.result().unwrap().p_value <= 0.05);
        }
    }
    for ((name, _), alarms) in ALL.iter().zip(alarms) {
        let share = alarms as f64 / WINDOWS as f64;
        assert!((0.03..=0.07).contains(&share), "{name}: {share}");
    }
}

/// Clean windows of any size alarm at the level, a shift is seen, and bad rows are answered or refused.
fn owes<T: DriftTest>(name: &str, fit: impl Fn(Vectors<'_>) -> T + Sync) {
    const DIM: usize = 8;
    for rows in [20, 50, 200] {
        let share = |windows, shift: f32| {
            let draw = |seed: u64| {
                let baseline = samples::dependent(100, DIM, 1.0, 2 * seed);
                let mut window = samples::dependent(rows, DIM, 1.0, 2 * seed + 1);
                // Of half of the components, so that the direction of the mean changes too.
                for row in window.chunks_exact_mut(DIM) {
                    row[..DIM / 2].iter_mut().for_each(|value| *value += shift);
                }
                (baseline, window)
            };
            samples::alarms(windows, DIM, draw, &fit)
        };
        let (clean, shifted) = (share(1_000, 0.0), share(100, 1.0));
        println!("{name}, {rows} rows: {clean} of clean windows, {shifted} of shifted ones");
        assert!((0.03..=0.07).contains(&clean), "{name}, {rows}: {clean}");
        assert!(shifted >= 0.9, "{name}, {rows} rows: {shifted}");
    }
    samples::bad_input(fit);
}

#[test]
fn sliced_wasserstein_keeps_the_level_sees_a_shift_and_takes_bad_rows() {
    owes("SlicedWasserstein", SlicedWasserstein::fit);
}

#[test]
fn centroids_keep_the_level_see_a_shift_and_take_bad_rows() {
    for distance in [CentroidDistance::Euclidean, CentroidDistance::Cosine] {
        let name = format!("{distance:?}");
        owes(&name, |baseline| Centroid::fit(baseline, distance));
    }
}

/// Rows of two components, each of which is near the one before it.
fn series(count: usize, random: &mut ChaCha8Rng) -> Vec<f32> {
    let mut last = [0.0_f32; 2];
    (0..count)
        .flat_map(|_| {
            last = last.map(|value| {
                let fresh: f32 = StandardNormal.sample(&mut *random);
                0.9 * value + fresh
            });
            last
        })
        .collect()
}

#[test]
fn blocks_of_rows_that_depend_on_their_neighbours_keep_the_level() {
    const WINDOWS: u64 = 500;
    for (name, fit) in ALL {
        let mut random = ChaCha8Rng::seed_from_u64(17);
        let alarms = (0..WINDOWS).filter(|seed| {
            let (baseline, window) = (series(900, &mut random), series(450, &mut random));
            let options = TestOptions {
                block: 20,
                seed: *seed,
                ..options(99)
            };
            let outcome = outcome(fit, &baseline, &window, 2, &options);
            outcome.result().unwrap().p_value <= 0.05
        });
        let share = alarms.count() as f64 / WINDOWS as f64;
        println!("{name}: {share} in blocks");
        // 5 % with a standard error of 1 %, and what dependence is left.
        assert!((0.02..=0.09).contains(&share), "{name}: {share}");
    }
}

#[test]
fn the_noise_floor_is_the_mean_of_clean_windows_and_the_effect_has_no_bias() {
    let mut random = ChaCha8Rng::seed_from_u64(12);
    for (name, fit) in ALL {
        let (mut value, mut expected) = (0.0, 0.0);
        for _ in 0..300 {
            let (baseline, window) = (rows(60, 0.0, &mut random), rows(20, 0.0, &mut random));
            let found = result(fit, &baseline, &window, 4);
            value += found.value;
            expected += found.expected;
        }
        let spread = result(
            fit,
            &rows(60, 0.0, &mut random),
            &rows(20, 0.0, &mut random),
            4,
        );
        let off = (value - expected).abs() / 300.0;
        assert!(
            off < 0.1 * spread.minimum_detectable_effect,
            "{name}: {off}"
        );
    }
}

#[test]
fn drift_is_seen_and_more_of_it_is_a_larger_effect() {
    let mut random = ChaCha8Rng::seed_from_u64(13);
    let baseline = rows(400, 0.0, &mut random);
    for (name, fit) in ALL {
        let found = [0.6, 1.2].map(|shift| {
            let window = rows(100, shift, &mut random);
            result(fit, &baseline, &window, 4)
        });
        assert!(
            found.iter().all(|found| found.p_value == 0.01),
            "{name}: {found:?}"
        );
        assert!(found[0].effect < found[1].effect, "{name}: {found:?}");
    }
}

#[test]
fn nine_in_ten_windows_show_what_is_said_to_be_detectable() {
    const WINDOWS: usize = 100;
    let mut random = ChaCha8Rng::seed_from_u64(14);
    for (name, fit) in ALL {
        // More drift until it is of the minimum_detectable_effect size.
        let seen = (6..40).find_map(|step| {
            let (mut seen, mut effect, mut minimum_detectable_effect) = (0, 0.0, 0.0);
            for _ in 0..WINDOWS {
                let baseline = rows(200, 0.0, &mut random);
                let window = rows(40, step as f32 * 0.03, &mut random);
                let found = result(fit, &baseline, &window, 4);
                seen += usize::from(found.p_value <= 0.05);
                effect += found.effect;
                minimum_detectable_effect += found.minimum_detectable_effect;
            }
            (effect >= minimum_detectable_effect).then_some(seen)
        });
        let seen = seen.unwrap();
        // Means near the origin differ by large angles, and smaller ones than is said are seen already.
        let most = if name == "Cosine" { WINDOWS } else { 98 };
        assert!((80..=most).contains(&seen), "{name}: {seen} of {WINDOWS}");
    }
}

#[test]
fn the_same_answer_on_any_number_of_threads() {
    let mut random = ChaCha8Rng::seed_from_u64(15);
    let (baseline, window) = (rows(700, 0.0, &mut random), rows(300, 0.1, &mut random));
    for (name, fit) in ALL {
        let outcomes = [1, 2, 5].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| result(fit, &baseline, &window, 4))
        });
        assert!(
            outcomes.iter().all(|outcome| *outcome == outcomes[0]),
            "{name}: {outcomes:?}"
        );
    }
}

#[test]
fn rows_that_depend_on_their_neighbours_are_thinned() {
    let mut random = ChaCha8Rng::seed_from_u64(16);
    let (baseline, window) = (rows(300, 0.0, &mut random), rows(90, 0.0, &mut random));
    let options = TestOptions {
        block: 40,
        ..options(99)
    };
    for (_, fit) in ALL {
        let outcome = outcome(fit, &baseline, &window, 4, &options);
        assert!(
            matches!(outcome, TestOutcome::NotEnoughRows { .. }),
            "{outcome:?}"
        );
    }
}

#[test]
fn odd_rows_have_defined_answers() {
    let large = [f32::MAX, -f32::MAX, 1.0, 0.0];
    let ramp: Vec<f32> = (0..240).map(|value| value as f32).collect();
    let cases: [(&[f32], &[f32], usize); 9] = [
        (&[1.0; 60], &[1.0; 20], 2),
        (&[1.0; 60], &[3.0; 20], 2),
        (&[0.0; 60], &[0.0; 2], 2),
        (&ramp, &ramp[..2], 2),
        (&ramp[..2], &ramp, 2),
        (&ramp[..4], &ramp[..4], 2),
        (&ramp, &ramp, 120),
        (&large.repeat(10), &large.repeat(2), 4),
        (&[f32::MIN_POSITIVE; 60], &[0.0; 21], 3),
    ];
    for (name, fit) in ALL {
        for (baseline, window, dim) in cases {
            let outcome = outcome(fit, baseline, window, dim, &options(39));
            let Some(found) = outcome.result() else {
                continue;
            };
            let numbers = [
                found.value,
                found.expected,
                found.effect,
                found.minimum_detectable_effect,
            ];
            assert!(
                numbers.iter().all(|number| number.is_finite()),
                "{name}: {found:?} of {baseline:?} and {window:?}"
            );
            assert!(found.p_value > 0.0 && found.p_value <= 1.0, "{name}");
        }
        let same = result(fit, &[1.0; 60], &[1.0; 20], 2);
        assert_eq!((same.value, same.p_value), (0.0, 1.0), "{name}");
        for (baseline, window) in [(&[][..], &ramp[..]), (&ramp[..], &[][..]), (&[], &[])] {
            let outcome = outcome(fit, baseline, window, 2, &options(39));
            assert!(
                matches!(outcome, TestOutcome::NotEnoughRows { .. }),
                "{name}"
            );
        }
        let test = fit(vectors(&ramp, 2));
        assert!(test.test(vectors(&ramp, 3), &options(39)).is_err());
        assert!(test.test(vectors(&ramp, 2), &options(0)).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_place_and_unit_of_the_rows_do_not_matter(seed in any::<u64>(), m in 4_usize..40, n in 4_usize..40) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let shift = random.random_range(0.0..1.0);
        let (baseline, window) = (rows(m, 0.0, &mut random), rows(n, shift, &mut random));
        let reversed: Vec<f32> = window.chunks(4).rev().flatten().copied().collect();
        // Powers of two lose no bits.
        let doubled = |rows: &[f32]| -> Vec<f32> { rows.iter().map(|value| value * 2.0).collect() };
        for (name, fit) in ALL {
            let value = result(fit, &baseline, &window, 4).value;
            let again = result(fit, &baseline, &reversed, 4).value;
            prop_assert!((value - again).abs() < 1e-12, "{}: {} and {}", name, value, again);
            let twice = result(fit, &doubled(&baseline), &doubled(&window), 4).value;
            let expected = if ["Energy", "Euclidean"].contains(&name) { value * 2.0 } else { value };
            prop_assert!((twice - expected).abs() < 1e-12, "{}: {} and {}", name, twice, expected);
        }
    }
}
