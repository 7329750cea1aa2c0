//! Drift statistics: k-means, labelling, distances.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use driftline::stats::{Baseline, KMeans, KMeansConfig, jsd, psi};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const ROWS: usize = 50_000;
const DIM: usize = 128;

/// Rows around 20 centres, f32 `[ROWS, DIM]`.
fn mixture() -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut value = move || random.random_range(-1.0_f32..1.0);
    let centres: Vec<f32> = (0..20 * DIM).map(|_| value()).collect();
    (0..ROWS * DIM)
        .map(|i| {
            let centre = centres[(i / DIM % 20) * DIM + i % DIM];
            // Four uniform numbers add to something close to normal.
            centre + (0..4).map(|_| value()).sum::<f32>() * 0.5
        })
        .collect()
}

fn statistics(criterion: &mut Criterion) {
    let rows = mixture();
    let mut group = criterion.benchmark_group("statistics");
    group.sample_size(10);
    group.throughput(Throughput::Elements(ROWS as u64));
    for k in [5, 10] {
        group.bench_function(BenchmarkId::new("kmeans", k), |bencher| {
            bencher
                .iter(|| KMeans::fit(&rows, DIM, k, &KMeansConfig::default()).expect("clusters"));
        });
    }
    let baseline = Baseline::fit(&rows, DIM, 10, 42).expect("a baseline");
    group.bench_function("histogram", |bencher| {
        bencher.iter(|| {
            let mut window = baseline.histogram();
            window.add(&rows).expect("rows");
            window.total()
        });
    });
    group.finish();

    let mut group = criterion.benchmark_group("distance");
    let window: Vec<u64> = baseline.counts().iter().rev().copied().collect();
    group.bench_function("jsd", |bencher| {
        bencher.iter(|| jsd(baseline.counts(), &window))
    });
    group.bench_function("psi", |bencher| {
        bencher.iter(|| psi(baseline.counts(), &window))
    });
    group.finish();
}

criterion_group!(benches, statistics);
criterion_main!(benches);
