//! Prints how far rows are from the oracle: what the precision classes are set above.
//!
//! `cargo run --release -p driftline-conformance --example distribution`, for every backend of this machine; with
//! `DRIFTLINE_TEST_DATA`, real images as well.

use driftline::settings::PluginSettings;
use driftline::{Plugins, registries};
use driftline_conformance::fault::{Fault, OracleBackend};
use driftline_conformance::golden::{self, Golden};
use driftline_conformance::oracle::{self, Answer};
use driftline_conformance::synthetic::{Image, SyntheticModel, images};
use driftline_conformance::tolerance::{Difference, FP32};
use driftline_core::{
    BackendConfig, EmbeddingBackend, Error, ErrorKind, ImageShape, ImageView, Inference, Precision,
    Result,
};

const IMAGES: u64 = 256;

fn in_bf16(config: &BackendConfig) -> BackendConfig {
    BackendConfig {
        precision: Some(Precision::Bf16),
        ..config.clone()
    }
}

fn main() -> Result<()> {
    let plugins = Plugins::find(&PluginSettings::default(), None)?;
    let registry = registries::backends(&plugins)?;
    let runs = |name: &&str| registries::engine(name, &plugins, None).is_ok();
    let names: Vec<&str> = registry
        .entries()
        .iter()
        .map(|entry| entry.name.as_str())
        .filter(runs)
        .collect();
    println!("| backend | model | values | measure of a row | median | 99 % | worst |");
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for (base_width, height, width) in [(8, 32, 32), (16, 40, 24)] {
        let shape = ImageShape { height, width };
        let model = SyntheticModel::new(base_width, shape);
        let images = images(shape, 0, IMAGES, 1.0);
        let answers = oracle::run(&model, &images, None);
        let folder = tempfile::tempdir().map_err(|cause| {
            Error::new(ErrorKind::Resource, "write model", "no temporary folder").because(cause)
        })?;
        let config = BackendConfig::new(model.write(folder.path())?, 2);
        let model = format!("width {base_width}");
        for name in &names {
            let label = format!("{name} | {model}");
            measure(&label, registry.build(name, &config)?, &images, &answers)?;
            if let Ok(backend) = registry.build(name, &in_bf16(&config)) {
                measure(
                    &format!("{name} in bf16 | {model}"),
                    backend,
                    &images,
                    &answers,
                )?;
            }
        }
        for (precision, bits) in [("tf32", 10), ("bf16", 7)] {
            let rounded = OracleBackend::open(&config, Some(Fault::Rounding(bits)))?;
            let label = format!("products in {precision} | {model}");
            measure(&label, Box::new(rounded), &images, &answers)?;
        }
    }
    let Some(folder) = golden::folder() else {
        println!("{} has no golden vectors", golden::VARIABLE);
        return Ok(());
    };
    let golden = Golden::read(&folder)
        .map_err(|message| Error::new(ErrorKind::InvalidData, "read golden vectors", message))?;
    let config = BackendConfig::new(golden.weights, 2);
    for name in &names {
        let backend = registry.build(name, &config)?;
        let label = format!("{name} | PyTorch's");
        measure(&label, backend, &golden.images, &golden.answers)?;
        if let Ok(backend) = registry.build(name, &in_bf16(&config)) {
            let label = format!("{name} in bf16 | PyTorch's");
            measure(&label, backend, &golden.images, &golden.answers)?;
        }
    }
    Ok(())
}

/// Runs `images` and prints how far the rows are from `answers`.
fn measure(
    label: &str,
    mut backend: Box<dyn EmbeddingBackend>,
    images: &[Image],
    answers: &[Answer],
) -> Result<()> {
    let info = backend.info().clone();
    let mut found = Inference::default();
    found.reset(&info, images.len());
    let bytes = images.concat();
    backend.embed(ImageView::new(info.input, &bytes)?, &mut found.as_mut())?;
    let embeddings = found.embeddings.chunks_exact(info.dim);
    let expected = answers.iter().map(|answer| answer.embedding.as_slice());
    print(
        &format!("{label} | embeddings"),
        embeddings.zip(expected).collect(),
    );
    let scores = found.scores.chunks_exact(info.classes.len());
    let expected = answers.iter().map(|answer| answer.scores.as_slice());
    print(&format!("{label} | scores"), scores.zip(expected).collect());
    Ok(())
}

/// The measures of rows, each found and expected.
fn print(label: &str, rows: Vec<(&[f32], &[f64])>) {
    let print = |name: &str, measure: &dyn Fn(&[f32], &[f64]) -> f64| {
        let mut values: Vec<f64> = rows.iter().map(|(f, e)| measure(f, e)).collect();
        values.sort_by(f64::total_cmp);
        let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
        let (median, most, worst) = (at(0.5), at(0.99), at(1.0));
        println!("| {label} | {name} | {median:.1e} | {most:.1e} | {worst:.1e} |");
    };
    print("max abs", &|f, e| Difference::of(f, e).max_abs);
    print("share of the fp32 bound", &|f, e| {
        let shares = f.iter().zip(e).map(|(f, e)| {
            (f64::from(*f) - e).abs()
                / (FP32.embeddings.absolute + FP32.embeddings.relative * e.abs())
        });
        shares.fold(0.0, f64::max)
    });
    print("relative L2", &|f, e| Difference::of(f, e).relative_l2);
    print("1 - cosine", &|f, e| 1.0 - Difference::of(f, e).min_cosine);
    print("abs(norm ratio - 1)", &|f, e| {
        (Difference::of(f, e).norm_ratio - 1.0).abs()
    });
}
