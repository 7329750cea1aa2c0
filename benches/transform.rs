//! Drift transforms on one thread: images per second.

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use driftline::core::{ImageBatch, ImageShape, TransformContext};
use driftline::data::{Split, sample};
use driftline::settings::PluginSettings;
use driftline::{Plugins, registries};

const BATCH: u64 = 256;

fn transform(criterion: &mut Criterion) {
    let pixels: Vec<u8> = (0..BATCH)
        .flat_map(|row| sample::scene(Split::Test, row).1)
        .collect();
    let shape = ImageShape {
        height: 32,
        width: 32,
    };
    let images = ImageBatch::new(shape, pixels).expect("a batch");
    let mut group = criterion.benchmark_group("transform");
    group.throughput(Throughput::Elements(BATCH));
    for expression in ["gaussian_blur", "brightness"] {
        let transforms = registries::build_transforms(
            expression,
            &Plugins::find(&PluginSettings::default()).expect("plugins.lock"),
        )
        .expect("the transform");
        let rows: Vec<u64> = (0..BATCH).collect();
        group.bench_function(BenchmarkId::from_parameter(expression), |bencher| {
            bencher.iter_batched_ref(
                || images.clone(),
                |images| {
                    let context = TransformContext {
                        seed: 42,
                        rows: &rows,
                    };
                    transforms[0].apply(images, &context).expect("images");
                },
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, transform);
criterion_main!(benches);
