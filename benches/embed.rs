//! Every backend of this machine on the same images: images per second by batch size and threads.
//!
//! `DRIFTLINE_BENCH_MODEL` names another model than the sample model.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use driftline::core::{BackendConfig, ImageView, Inference};
use driftline::data::{Split, sample};
use driftline::settings::PluginSettings;
use driftline::{Plugins, models, registries};

struct Silent;

impl driftline::pipeline::Progress for Silent {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}

fn embed(criterion: &mut Criterion) {
    let name = std::env::var("DRIFTLINE_BENCH_MODEL").unwrap_or_else(|_| "sample".to_owned());
    let model = models::resolve(&name, &Silent).expect("the model");
    let registry =
        registries::backends(&Plugins::find(&PluginSettings::default()).expect("plugins.lock"))
            .expect("the registry");
    for threads in [1, 2] {
        for batch in [1_usize, 8, 32, 256] {
            let mut group =
                criterion.benchmark_group(format!("embed/batch {batch}/threads {threads}"));
            group.throughput(Throughput::Elements(batch as u64));
            for entry in registry.entries() {
                let config = BackendConfig::new(model.clone(), threads);
                let mut backend = match registry.build(&entry.name, &config) {
                    Ok(backend) => backend,
                    Err(error) => {
                        println!("not measured: {}: {error}", entry.name);
                        continue;
                    }
                };
                let info = backend.info().clone();
                println!(
                    "{}: {}, {}, {}, {} threads",
                    info.name, info.engine, info.device, info.precision, info.threads
                );
                let images: Vec<u8> = (0..batch as u64)
                    .flat_map(|row| sample::scene(Split::Test, row).1)
                    .collect();
                let view = ImageView::new(info.input, &images).expect("32x32 input");
                let mut out = Inference::default();
                out.reset(&info, batch);
                group.bench_function(BenchmarkId::from_parameter(&info.name), |bencher| {
                    bencher.iter(|| backend.embed(view, &mut out.as_mut()).expect("embeddings"));
                });
            }
            group.finish();
        }
    }
}

criterion_group!(benches, embed);
criterion_main!(benches);
