//! Every backend of this machine on the same images, and `candle-layers`, which is candle's own operations: images/s by batch
//! size and threads. `ratios.py` makes a table of it.
//!
//! `DRIFTLINE_BENCH_MODEL` names another model than the sample model, `DRIFTLINE_PLUGIN_PATH` a folder with plugins.

use std::time::Duration;

use common::opening::{backends, images, model};
use common::threads::{threads, with_each};
use common::{arguments, header};
use criterion::{Criterion, Throughput, criterion_group};
use driftline::core::{BackendConfig, ImageView, Inference};

const BATCHES: [usize; 4] = [1, 8, 32, 256];

fn embed(criterion: &mut Criterion) {
    let group = |batch| format!("embed/batch {batch}/threads {}", threads());
    let is_selected = |name: &str| {
        let mut ids = BATCHES
            .map(|batch| format!("{}/{name}", group(batch)))
            .into_iter();
        ids.any(|id| arguments::selects(&id))
    };
    let config = BackendConfig::new(model(), threads());
    let mut layers = config.clone();
    layers.options.insert("fused".to_owned(), false.into());
    let registry = backends();
    let names = registry.entries().iter().map(|entry| entry.name.as_str());
    let rows =
        names
            .map(|name| (name, name, &config))
            .chain([("candle-layers", "candle", &layers)]);
    let mut measured = Vec::new();
    for (row, name, config) in rows.filter(|(row, ..)| is_selected(row)) {
        match registry.build(name, config) {
            Ok(backend) => {
                header::print_backend(row, backend.info());
                measured.push((row, name, config));
            }
            Err(error) => println!("not measured: {row}: {error}"),
        }
    }
    for (row, name, config) in measured {
        // One at a time: the threads of an engine that has nothing to do may still take time from another's.
        let mut backend = registry.build(name, config).expect("the backend again");
        let info = backend.info().clone();
        for batch in BATCHES {
            let images = images(batch);
            let view = ImageView::new(info.input, &images).expect("32x32 input");
            let mut out = Inference::default();
            out.reset(&info, batch);
            let mut group = criterion.benchmark_group(group(batch));
            group.throughput(Throughput::Elements(batch as u64));
            group.bench_function(row, |bencher| {
                bencher.iter(|| backend.embed(view, &mut out.as_mut()).expect("embeddings"));
            });
            group.finish();
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = embed
}

fn main() {
    with_each(&[1, 2], benches);
}
