//! Every statistic through the check of a baseline: odd rows, threads, and what the default ones see.

use std::collections::BTreeMap;

use driftline_core::RowSchema;
use driftline_stats::{
    Baseline, BaselineOptions, Sample, Statistic, TestOptions, TestOutcome, Verdict,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

const DIM: usize = 12;
const CLASSES: usize = 4;

fn sample(embeddings: Vec<f32>) -> Sample {
    let rows = embeddings.len() / DIM;
    let names = |count: usize| (0..count).map(|i| format!("n{i}")).collect();
    let schema = RowSchema::new(DIM, names(CLASSES))
        .unwrap()
        .with_properties(names(3));
    // The class is that of the largest of the first values, as a model would have it.
    let scores = embeddings
        .chunks_exact(DIM)
        .flat_map(|row| row[..CLASSES].to_vec())
        .collect();
    let mut random = ChaCha8Rng::seed_from_u64(rows as u64);
    let properties = (0..rows * 3).map(|_| normal(&mut random)).collect();
    Sample::from_parts(schema, embeddings, scores, properties).unwrap()
}

fn normal(random: &mut ChaCha8Rng) -> f32 {
    StandardNormal.sample(random)
}

/// Rows around a centre for each class, `shares` of which have each class.
fn rows(count: usize, shares: [f64; CLASSES], seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let total: f64 = shares.iter().sum();
    let mut rows = Vec::new();
    for _ in 0..count {
        let mut at = random.random::<f64>() * total;
        let class = shares.iter().position(|share| {
            at -= share;
            at < 0.0
        });
        let class = class.unwrap_or(0);
        rows.extend((0..DIM).map(|i| normal(&mut random) + if i == class { 4.0 } else { 0.0 }));
    }
    rows
}

const EVEN: [f64; CLASSES] = [1.0; CLASSES];

fn compiled(rows: Vec<f32>) -> Baseline {
    compiled_for(rows, 1)
}

fn compiled_for(rows: Vec<f32>, block: usize) -> Baseline {
    let options = BaselineOptions {
        block,
        ..BaselineOptions::default()
    };
    Baseline::compile(&sample(rows), options).unwrap()
}

#[test]
fn odd_rows_have_a_defined_answer_from_every_statistic() {
    let usual = rows(300, EVEN, 1);
    let constant = |count: usize| vec![0.25; count * DIM];
    let mut one_constant = usual.clone();
    one_constant
        .iter_mut()
        .step_by(DIM)
        .for_each(|value| *value = 1.0);
    let baselines = [
        usual.clone(),
        usual[..10 * DIM].to_vec(),
        constant(50),
        one_constant,
    ];
    let windows = [
        vec![],
        usual[..DIM].to_vec(),
        usual[..2 * DIM].to_vec(),
        rows(5, EVEN, 2),
        rows(60, EVEN, 3),
        // More rows than the baseline, the same row again and again, one class only.
        rows(700, EVEN, 4),
        constant(40),
        rows(80, [0.0, 1.0, 0.0, 0.0], 5),
    ];
    for (b, baseline) in baselines.into_iter().enumerate() {
        for block in [1, 5, usize::MAX] {
            let baseline = compiled_for(baseline.clone(), block);
            for (w, window) in windows.iter().enumerate() {
                let options = TestOptions {
                    permutations: 99,
                    block,
                    ..TestOptions::default()
                };
                let window = sample(window.clone());
                let check = baseline.check(&window, &Statistic::ALL, &options).unwrap();
                assert_eq!(check.statistics.len(), Statistic::ALL.len());
                for (statistic, outcome) in &check.statistics {
                    match outcome {
                        TestOutcome::Tested(f) => {
                            let all = [f.value, f.expected, f.effect, f.minimum_detectable_effect];
                            assert!(
                                all.iter().all(|x| x.is_finite()),
                                "{statistic}, {b}, {w}: {f:?}"
                            );
                            assert!(f.p_value > 0.0 && f.p_value <= 1.0, "{statistic}: {f:?}");
                        }
                        TestOutcome::NotEnoughRows { rows, needed } => {
                            assert!(rows < needed, "{statistic}, {b}, {w}: {outcome:?}");
                        }
                    }
                }
                baseline.explain(&window, &options).unwrap();
            }
        }
    }
}

#[test]
fn bad_values_other_models_and_options_are_named() {
    let baseline = compiled(rows(300, EVEN, 1));
    let mut bad = rows(40, EVEN, 2);
    bad[7 * DIM + 3] = f32::NAN;
    let options = TestOptions::default();
    let error = baseline
        .check(&sample(bad), &Statistic::DEFAULT, &options)
        .unwrap_err();
    let text = error.to_string();
    assert!(text.contains("NaN") && text.contains("row: 7"), "{text}");
    let schema = RowSchema::new(2, vec![]).unwrap();
    let other = Sample::from_parts(schema, vec![0.5; 40], vec![], vec![]).unwrap();
    assert!(
        baseline
            .check(&other, &[Statistic::Hotelling], &options)
            .is_err()
    );
    let window = sample(rows(40, EVEN, 3));
    for (alpha, permutations) in [(0.0, 99), (1.0, 99), (f64::NAN, 99), (0.05, 0)] {
        let options = TestOptions {
            alpha,
            permutations,
            ..options
        };
        assert!(
            baseline
                .check(&window, &Statistic::DEFAULT, &options)
                .is_err()
        );
    }
    let none = sample(vec![]);
    assert!(Baseline::compile(&none, BaselineOptions::default()).is_err());
}

#[test]
fn threads_change_nothing() {
    let (reference, window) = (rows(800, EVEN, 1), sample(rows(150, EVEN, 2)));
    let options = TestOptions {
        permutations: 99,
        ..TestOptions::default()
    };
    let check = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            compiled(reference.clone())
                .check(&window, &Statistic::ALL, &options)
                .unwrap()
        })
    };
    assert_eq!(check(1), check(3));
}

/// Share of windows of 1,000 rows that the default statistic which sees most calls drifted.
fn seen(window: impl Fn(u64) -> Vec<f32>) -> f64 {
    const WINDOWS: u64 = 10;
    let mut counts = BTreeMap::new();
    for seed in 0..WINDOWS {
        let baseline = compiled(rows(3_000, EVEN, 1_000 + seed));
        let options = TestOptions {
            permutations: 499,
            seed,
            ..TestOptions::default()
        };
        let check = baseline.check(&sample(window(seed)), &Statistic::DEFAULT, &options);
        for (statistic, outcome) in check.unwrap().statistics {
            let drifted = outcome.verdict(options.alpha) == Verdict::Drift;
            *counts.entry(statistic).or_insert(0) += u64::from(drifted);
        }
    }
    let most = counts.into_values().max().unwrap_or(0);
    most as f64 / WINDOWS as f64
}

#[test]
fn the_default_statistics_see_every_kind_of_drift() {
    let clean = seen(|seed| rows(1_000, EVEN, seed));
    assert!(clean <= 0.4, "clean: {clean}");
    let halved = seen(|seed| rows(1_000, [1.0, 1.0, 1.0, 0.5], seed));
    let spread = seen(|seed| {
        let rows = rows(1_000, EVEN, seed);
        rows.iter().map(|value| value * 1.15).collect()
    });
    let correlation = seen(|seed| {
        let mut rows = rows(1_000, EVEN, seed);
        for row in rows.chunks_exact_mut(DIM) {
            for i in CLASSES + 1..DIM {
                row[i] = 0.7 * row[i - 1] + (1.0 - 0.49_f32).sqrt() * row[i];
            }
        }
        rows
    });
    let contaminated = seen(|seed| {
        let mut rows = rows(1_000, EVEN, seed);
        rows[..10 * DIM].iter_mut().for_each(|value| *value += 6.0);
        rows
    });
    println!(
        "halved {halved}, spread {spread}, correlation {correlation}, contaminated {contaminated}"
    );
    for (name, share) in [
        ("a class halved", halved),
        ("spread", spread),
        ("correlation", correlation),
        ("1 % contaminated", contaminated),
    ] {
        assert!(share >= 0.8, "{name}: {share}");
    }
}

#[test]
fn clean_windows_of_dependent_rows_alarm_no_more_than_the_level() {
    const BLOCK: usize = 22;
    // Of a correlation of 0.9 with the row before, which is below 0.1 after 22 rows.
    let stream = |count: usize, seed| {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut last: Vec<f32> = (0..DIM).map(|_| normal(&mut random)).collect();
        let mut rows = Vec::new();
        for _ in 0..count {
            for value in &mut last {
                *value = 0.9 * *value + 0.19_f32.sqrt() * normal(&mut random);
            }
            rows.extend_from_slice(&last);
        }
        rows
    };
    let statistics = [&Statistic::DEFAULT[..], &[Statistic::Reconstruction]].concat();
    let options = TestOptions {
        permutations: 199,
        ..TestOptions::default()
    };
    let windows: u64 = match std::env::var_os("DRIFTLINE_TEST_FULL") {
        Some(_) => 200,
        None => 50,
    };
    let mut alarms: BTreeMap<Statistic, u64> = BTreeMap::new();
    for seed in 0..windows {
        let baseline = compiled_for(stream(4_000, 2 * seed), BLOCK);
        let window = sample(stream(1_000, 2 * seed + 1));
        let check = baseline.check(&window, &statistics, &options).unwrap();
        for (statistic, outcome) in &check.statistics {
            let drifted = outcome.verdict(options.alpha) == Verdict::Drift;
            *alarms.entry(*statistic).or_default() += u64::from(drifted);
        }
    }
    for (statistic, count) in alarms {
        let share = count as f64 / windows as f64;
        println!("{statistic}: {share}");
        let standard_error = (0.05 * 0.95 / windows as f64).sqrt();
        assert!(
            share <= 0.05 + 3.24 * standard_error,
            "{statistic}: {share}"
        );
    }
    let baseline = compiled(stream(400, 1));
    let beyond = TestOptions {
        block: BLOCK,
        ..options
    };
    let error = baseline.check(&sample(stream(400, 2)), &statistics, &beyond);
    assert!(error.unwrap_err().to_string().contains("22 rows"));
}
