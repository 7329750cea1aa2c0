//! Shares of clusters as a test.

use driftline_stats::{ClusterShares, Distance, DriftTest, TestOptions, TestOutcome};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StudentT;

use crate::samples::{alarms, bad_input, dependent, rows};

const CLUSTERS: usize = 10;

/// Rows with far ones among them, which clusters in which they are counted themselves do not survive.
fn heavy(rows: usize, dim: usize, seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let tails = StudentT::new(2.5).unwrap();
    (0..rows * dim)
        .map(|_| random.sample::<f64, _>(tails) as f32)
        .collect()
}

#[test]
fn clean_windows_alarm_as_often_as_they_may() {
    for (distance, n) in [
        (Distance::Jsd, 20),
        (Distance::Jsd, 800),
        (Distance::TotalVariation, 20),
    ] {
        let draw = |seed| (heavy(400, 8, 2 * seed), heavy(n, 8, 2 * seed + 1));
        let fit = |rows: driftline_stats::Vectors<'_>| {
            ClusterShares::fit(rows, distance, CLUSTERS, 42, 1).unwrap()
        };
        let share = alarms(1_000, 8, draw, fit);
        println!("{distance}, {n} rows: {share}");
        assert!((0.03..=0.07).contains(&share), "{distance}, {n}: {share}");
    }
}

#[test]
fn drift_is_seen() {
    let baseline = dependent(3_000, 4, 0.0, 1);
    let drifted = dependent(200, 4, 1.0, 2);
    for distance in Distance::ALL {
        let test = ClusterShares::fit(rows(&baseline, 4), distance, 5, 42, 1).unwrap();
        let outcome = test
            .test(rows(&drifted, 4), &TestOptions::default())
            .unwrap();
        let result = outcome.result().unwrap();
        assert_eq!(result.p_value, 0.001, "{distance}");
        assert!(
            result.effect > result.minimum_detectable_effect,
            "{distance}: {result:?}"
        );
        assert!(result.effect < result.value);
    }
}

#[test]
fn threads_change_nothing() {
    let (baseline, window) = (dependent(2_500, 4, 0.0, 1), dependent(100, 4, 0.1, 2));
    let outcome = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| {
            let test = ClusterShares::fit(rows(&baseline, 4), Distance::Jsd, 10, 42, 1).unwrap();
            test.test(rows(&window, 4), &TestOptions::default())
                .unwrap()
        })
    };
    assert_eq!(outcome(1), outcome(3));
}

#[test]
fn bad_rows_have_a_defined_answer() {
    bad_input(|rows| ClusterShares::fit(rows, Distance::Jsd, 3, 42, 1).unwrap());
    let few = dependent(9, 3, 0.0, 1);
    assert!(ClusterShares::fit(rows(&few, 3), Distance::Jsd, 0, 42, 1).is_err());
    let test = ClusterShares::fit(rows(&few, 3), Distance::Jsd, 10, 42, 1).unwrap();
    let outcome = test.test(rows(&few, 3), &TestOptions::default()).unwrap();
    assert_eq!(
        outcome,
        TestOutcome::NotEnoughRows {
            rows: 9,
            needed: 20
        }
    );
}

#[test]
fn distances_that_share_their_clusters_say_what_each_says_alone() {
    let baseline = dependent(1_000, 4, 0.0, 1);
    let window = dependent(200, 4, 0.2, 2);
    let fit = |distance| ClusterShares::fit(rows(&baseline, 4), distance, 5, 42, 1).unwrap();
    let shared = fit(Distance::Jsd);
    for distance in Distance::ALL {
        let [one, other] = [fit(distance), shared.with_distance(distance)].map(|test| {
            test.test(rows(&window, 4), &TestOptions::default())
                .unwrap()
        });
        assert_eq!(one, other, "{distance}");
    }
}
