//! The transforms of the notebook on one thread: images/s.

use common::header;
use common::opening::{images, plugins};
use common::threads::with_each;
use criterion::{BatchSize, Criterion, Throughput, criterion_group};
use driftline::core::{ImageBatch, TransformContext};
use driftline::data::sample;
use driftline::registries;

const BATCH: usize = 256;

fn transform(criterion: &mut Criterion) {
    let images = ImageBatch::new(sample::SHAPE, images(BATCH)).expect("a batch");
    let rows: Vec<u64> = (0..BATCH as u64).collect();
    let context = TransformContext {
        seed: 42,
        rows: &rows,
    };
    let mut group = criterion.benchmark_group("transform");
    group.throughput(Throughput::Elements(BATCH as u64));
    for name in ["gaussian_blur", "brightness"] {
        header::print_own(&format!("transform/{name}"), "fp32");
        let transforms = registries::build_transforms(name, &plugins()).expect("the transform");
        group.bench_function(name, |bencher| {
            bencher.iter_batched_ref(
                || images.clone(),
                |images| transforms[0].apply(images, &context).expect("images"),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, transform);

fn main() {
    with_each(&[1], benches);
}
