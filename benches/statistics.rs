//! Statistics of drift: rows/s that k-means clusters and that are counted into its histogram, on all threads; distances/s
//! between two histograms.

use std::sync::LazyLock;

use common::header;
use common::threads::{all, with_each};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group};
use driftline::stats::{Clusters, Distance, KMeans, KMeansConfig};
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
    let rows = LazyLock::new(mixture);
    let baseline =
        LazyLock::new(|| Clusters::fit(&rows, DIM, 10, 42).expect("a baseline of 10 clusters"));
    let mut group = criterion.benchmark_group("statistics");
    group.sample_size(10);
    group.throughput(Throughput::Elements(ROWS as u64));
    for k in [5, 10] {
        header::print_own(&format!("statistics/kmeans/{k}"), "fp32, sums fp64");
        group.bench_function(BenchmarkId::new("kmeans", k), |bencher| {
            let rows = &*rows;
            bencher.iter(|| KMeans::fit(rows, DIM, k, &KMeansConfig::default()).expect("clusters"));
        });
    }
    header::print_own("statistics/histogram", "fp32");
    group.bench_function("histogram", |bencher| {
        let (rows, baseline) = (&*rows, &*baseline);
        bencher.iter(|| {
            let mut window = baseline.histogram();
            window.add(rows).expect("rows");
            window
        });
    });
    group.throughput(Throughput::Elements(1));
    for statistic in Distance::ALL {
        header::print_own(&format!("statistics/{statistic}"), "fp64");
        group.bench_function(statistic.name(), |bencher| {
            let counts = baseline.counts();
            let window: Vec<u64> = counts.iter().rev().copied().collect();
            bencher.iter(|| statistic.value(counts, &window));
        });
    }
    group.finish();
}

criterion_group!(benches, statistics);

fn main() {
    with_each(&[all()], benches);
}
