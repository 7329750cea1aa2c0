//! What the boundary costs: the same transform compiled in and loaded, beside a forward pass of the same images.
//!
//! `DRIFTLINE_PLUGIN_PATH` names the folder with the plugin template-rust, `DRIFTLINE_BENCH_MODEL` another model than the
//! sample model.

use criterion::{Criterion, criterion_group, criterion_main};
use driftline::core::{
    BackendConfig, DriftTransform, ImageBatch, ImageView, Inference, Result, TransformContext,
    TransformInfo,
};
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

/// What the plugin's `invert` does, compiled in.
struct Invert {
    info: TransformInfo,
    table: [u8; 256],
}

impl DriftTransform for Invert {
    fn info(&self) -> &TransformInfo {
        &self.info
    }

    fn apply(&self, images: &mut ImageBatch, _: &TransformContext<'_>) -> Result<()> {
        for value in images.images_mut().flatten() {
            *value = self.table[usize::from(*value)];
        }
        Ok(())
    }
}

fn plugin(criterion: &mut Criterion) {
    let plugins = Plugins::find(&PluginSettings::default()).expect("plugins.lock");
    let loaded = match registries::build_transforms("invert(1)", &plugins) {
        Ok(mut transforms) => transforms.remove(0),
        Err(error) => return println!("not measured: {error}"),
    };
    let native = Invert {
        info: loaded.info().clone(),
        table: std::array::from_fn(|value| 255 - value as u8),
    };
    let name = std::env::var("DRIFTLINE_BENCH_MODEL").unwrap_or_else(|_| "sample".to_owned());
    let model = models::resolve(&name, &Silent).expect("the model");
    let registry = registries::backends(&plugins).expect("the registry");
    let config = BackendConfig::new(model, 1);
    let mut backend = registry.build("candle", &config).expect("the backend");
    let info = backend.info().clone();
    for batch in [1_usize, 256] {
        let pixels: Vec<u8> = (0..batch as u64)
            .flat_map(|row| sample::scene(Split::Test, row).1)
            .collect();
        let rows: Vec<u64> = (0..batch as u64).collect();
        let context = TransformContext {
            seed: 42,
            rows: &rows,
        };
        let mut images = ImageBatch::new(info.input, pixels.clone()).expect("32x32 images");
        let mut again = images.clone();
        native.apply(&mut images, &context).expect("images");
        loaded.apply(&mut again, &context).expect("images");
        assert_eq!(images.as_bytes(), again.as_bytes(), "the same bytes");
        let mut group = criterion.benchmark_group(format!("plugin/batch {batch}"));
        let transforms: [(&str, &dyn DriftTransform); 2] =
            [("native", &native), ("loaded", loaded.as_ref())];
        for (name, transform) in transforms {
            group.bench_function(name, |bencher| {
                bencher.iter(|| transform.apply(&mut images, &context).expect("images"));
            });
        }
        let view = ImageView::new(info.input, &pixels).expect("32x32 images");
        let mut out = Inference::default();
        out.reset(&info, batch);
        group.bench_function("forward pass", |bencher| {
            bencher.iter(|| backend.embed(view, &mut out.as_mut()).expect("embeddings"));
        });
        group.finish();
    }
}

criterion_group!(benches, plugin);
criterion_main!(benches);
