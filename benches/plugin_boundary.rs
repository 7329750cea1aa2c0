//! What the boundary of a plugin costs: images/s of the same transform compiled in and loaded, beside a forward pass of the
//! same images, on one thread.
//!
//! `DRIFTLINE_PLUGIN_PATH` names the folder with the plugin template-rust, `DRIFTLINE_BENCH_MODEL` another model than the
//! sample model.

use common::opening::{backends, images, model, plugins};
use common::threads::{threads, with_each};
use common::{arguments, header};
use criterion::{Criterion, Throughput, criterion_group};
use driftline::core::{
    BackendConfig, DriftTransform, ImageBatch, ImageView, Inference, Result, TransformContext,
    TransformInfo,
};
use driftline::registries;

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

const BATCHES: [usize; 2] = [1, 256];
const NAMES: [&str; 3] = ["native", "loaded", "forward pass"];

fn plugin_boundary(criterion: &mut Criterion) {
    let group = |batch| format!("plugin_boundary/batch {batch}");
    let mut ids = BATCHES
        .into_iter()
        .flat_map(|batch| NAMES.map(|name| format!("{}/{name}", group(batch))));
    if !ids.any(|id| arguments::selects(&id)) {
        return;
    }
    let loaded = match registries::build_transforms("invert(1)", &plugins()) {
        Ok(mut transforms) => transforms.remove(0),
        Err(error) => return println!("not measured: plugin_boundary: {error}"),
    };
    let native = Invert {
        info: loaded.info().clone(),
        table: std::array::from_fn(|value| 255 - value as u8),
    };
    let config = BackendConfig::new(model(), threads());
    let mut backend = backends().build("candle", &config).expect("the backend");
    let info = backend.info().clone();
    for name in &NAMES[..2] {
        header::print_own(name, "u8");
    }
    header::print_backend(&info.name, &info);
    for batch in BATCHES {
        let pixels = images(batch);
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
        let mut group = criterion.benchmark_group(group(batch));
        group.throughput(Throughput::Elements(batch as u64));
        let [native_name, loaded_name, forward_name] = NAMES;
        let transforms: [(&str, &dyn DriftTransform); 2] =
            [(native_name, &native), (loaded_name, loaded.as_ref())];
        for (name, transform) in transforms {
            group.bench_function(name, |bencher| {
                bencher.iter(|| transform.apply(&mut images, &context).expect("images"));
            });
        }
        let view = ImageView::new(info.input, &pixels).expect("32x32 images");
        let mut out = Inference::default();
        out.reset(&info, batch);
        group.bench_function(forward_name, |bencher| {
            bencher.iter(|| backend.embed(view, &mut out.as_mut()).expect("embeddings"));
        });
        group.finish();
    }
}

criterion_group!(benches, plugin_boundary);

fn main() {
    with_each(&[1], benches);
}
