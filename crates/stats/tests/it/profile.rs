//! Profiles are exact sums: of any parts, on any number of threads.

use std::time::Instant;

use driftline_core::{Row, RowSchema, Rows, RowsBuilder};
use driftline_stats::{
    Baseline, BaselineOptions, Compiled, KMeans, Moments, Profile, ProfilePlan, Sample,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CLASSES: usize = 10;

fn schema(dim: usize) -> RowSchema {
    let classes = (0..CLASSES).map(|class| format!("class {class}")).collect();
    let schema = RowSchema::new(dim, classes).unwrap();
    schema.with_properties(driftline_properties::names())
}

fn rows(n: usize, dim: usize, seed: u64) -> Rows {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let schema = schema(dim);
    let properties = schema.properties.len();
    let mut builder = RowsBuilder::new(schema);
    let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| random.random()).collect() };
    for number in 0..n {
        let (embedding, scores, properties) = (draw(dim), draw(CLASSES), draw(properties));
        builder
            .push(&Row {
                event_id: &number.to_string(),
                timestamp_ms: 0,
                embedding: &embedding,
                scores: &scores,
                target: None,
                image_url: "",
                image_number: number as i64,
                window: "w",
                properties: &properties,
            })
            .unwrap();
    }
    Rows::new(builder.finish().unwrap()).unwrap()
}

fn sample(rows: &Rows, which: std::ops::Range<usize>) -> Sample {
    let mut sample = Sample::new(rows.schema().clone());
    sample.push_some(rows, which).unwrap();
    sample
}

/// A plan with `clusters` clusters around rows of the sample.
fn plan(sample: &Sample, clusters: usize) -> ProfilePlan {
    let (dim, space) = (sample.schema().dim, driftline_stats::Space::Embeddings);
    let centroids = sample.space(space).unwrap().unwrap().values()[..clusters * dim].to_vec();
    ProfilePlan::new(sample, KMeans::from_centroids(centroids, dim).unwrap()).unwrap()
}

fn close(a: &[f64], b: &[f64]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert!((a - b).abs() <= 1e-12 * a.abs().max(1.0), "{a} {b}");
    }
}

/// Counts equal, moments up to rounding.
fn assert_same(a: &Profile, b: &Profile) {
    assert_eq!(a.rows(), b.rows());
    assert_eq!(
        (&a.clusters, &a.classes, &a.bins),
        (&b.clusters, &b.classes, &b.bins)
    );
    for (a, b) in [
        (&a.embeddings, &b.embeddings),
        (&a.properties, &b.properties),
    ] {
        close(&a.mean(), &b.mean());
        assert_eq!(a.rows(), b.rows());
        let (a, b) = (a.ledoit_wolf(), b.ledoit_wolf());
        assert!((a.1 - b.1).abs() < 1e-9);
        assert!((a.0 - b.0).norm_max() < 1e-12);
    }
}

#[test]
fn parts_of_any_size_add_up_to_the_whole() {
    for dim in [1, 2, 5, 128] {
        let rows = rows(3_000, dim, 3);
        let whole = sample(&rows, 0..3_000);
        for clusters in [1, 2, 10] {
            let plan = plan(&whole, clusters);
            let all = plan.profile(&whole).unwrap();
            for size in [1, 7, 64, 1_000] {
                let parts: Vec<Profile> = (0..3_000)
                    .step_by(size)
                    .map(|from| sample(&rows, from..(from + size).min(3_000)))
                    .map(|part| plan.profile(&part).unwrap())
                    .collect();
                assert_same(&all, &Profile::merged(&parts).unwrap().unwrap());
            }
        }
    }
}

#[test]
fn threads_change_nothing() {
    let rows = rows(9_000, 16, 4);
    let whole = sample(&rows, 0..9_000);
    let plan = plan(&whole, 5);
    let profile = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.unwrap().install(|| plan.profile(&whole).unwrap())
    };
    let one = profile(1);
    for threads in [2, 3, 8] {
        assert_eq!(one, profile(threads));
    }
}

#[test]
fn nothing_and_rows_of_another_model() {
    let rows = rows(100, 4, 5);
    let whole = sample(&rows, 0..100);
    let plan = plan(&whole, 3);
    assert_eq!(plan.profile(&sample(&rows, 0..0)).unwrap(), plan.empty());
    assert_eq!(Profile::merged([]).unwrap(), None);
    let other = Sample::new(schema(5));
    assert!(plan.profile(&other).is_err());
    // Without image properties the rest is summed up.
    let mut without = RowSchema::new(4, schema(4).classes).unwrap();
    without.properties.clear();
    let mut bare = Sample::new(without);
    bare.push(&rows).unwrap();
    let (bare, whole) = (plan.profile(&bare).unwrap(), plan.profile(&whole).unwrap());
    assert_eq!((bare.rows(), bare.properties.rows()), (100, 0));
    assert_eq!(bare.embeddings, whole.embeddings);
    assert!(bare.bins.iter().all(|count| *count == 0));
    let mut damaged = whole.clone();
    damaged.classes.pop();
    let error = damaged.merge(&whole).unwrap_err().to_string();
    assert!(error.contains("different length"), "{error}");
    let mut older = whole.clone();
    older.version = 0;
    assert!(older.merge(&whole).is_err());
}

/// The clusters of a profile are those of a baseline compiled from the same rows.
#[test]
fn a_baseline_has_the_profile_of_its_rows() {
    let rows = rows(2_500, 8, 6);
    let whole = sample(&rows, 0..2_500);
    let baseline = Baseline::compile(&whole, BaselineOptions::default()).unwrap();
    assert_eq!(baseline.profile().clusters, baseline.clusters().counts());
    assert_eq!(
        baseline.plan().profile(&whole).unwrap(),
        *baseline.profile()
    );
}

#[test]
fn a_baseline_whose_parts_do_not_fit_is_refused() {
    let rows = rows(500, 4, 7);
    let whole = sample(&rows, 0..500);
    let baseline = Baseline::compile(&whole, BaselineOptions::default()).unwrap();
    let refused = |damage: &dyn Fn(&mut Compiled)| {
        let mut compiled = baseline.compiled();
        damage(&mut compiled);
        Baseline::restore(baseline.kept().clone(), compiled).is_err()
    };
    assert!(!refused(&|_| ()));
    assert!(refused(&|compiled| compiled.edges[0].push(9.0)));
    assert!(refused(
        &|compiled| compiled.profile.embeddings = Moments::new(3)
    ));
    assert!(refused(&|compiled| compiled.profile.bins.truncate(1)));
    assert!(refused(&|compiled| compiled.profile.plan.clear()));
}

#[test]
#[ignore = "measures speed: run it in --release"]
fn profile_speed() {
    let (n, dim) = (60_000, 128);
    let rows = rows(n, dim, 1);
    let whole = sample(&rows, 0..n);
    let plan = plan(&whole, 10);
    let best = |work: &dyn Fn()| {
        let timed = (0..20).map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        });
        timed.min().unwrap().as_secs_f64()
    };
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.unwrap();
        let making = best(&|| drop(pool.install(|| plan.profile(&whole).unwrap())));
        println!(
            "{threads} threads: {making:.4} s for {n} x {dim}, {:.2} million rows/s",
            n as f64 / making / 1e6
        );
    }
    let days = vec![plan.profile(&whole).unwrap(); 100];
    let merging = best(&|| drop(Profile::merged(&days).unwrap()));
    println!("merging 100 profiles: {merging:.5} s");
}
