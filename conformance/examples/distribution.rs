//! Prints how far rows are from the oracle: what the precision classes are set above.
//!
//! `cargo run -p driftline-conformance --example distribution`; with `ORT_DYLIB_PATH`, ONNX Runtime as well.

use driftline_backend_candle::CandleBackend;
use driftline_backend_onnx::OnnxBackend;
use driftline_conformance::fault::{Fault, OracleBackend};
use driftline_conformance::oracle;
use driftline_conformance::synthetic::{DIM, SyntheticModel, images};
use driftline_conformance::tolerance::{Difference, FP32};
use driftline_core::{
    BackendConfig, EmbeddingBackend, Error, ErrorKind, ImageShape, ImageView, Inference, Result,
};

const IMAGES: u64 = 256;

type Open = fn(&BackendConfig) -> Result<Box<dyn EmbeddingBackend>>;

fn main() -> Result<()> {
    let mut backends: Vec<(&str, Open)> = vec![("candle", |config| {
        Ok(Box::new(CandleBackend::open(config)?))
    })];
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        backends.push(("onnx", |config| {
            Ok(Box::new(OnnxBackend::open(config, None)?))
        }));
    }
    backends.push(("products in tf32", |config| {
        Ok(Box::new(OracleBackend::open(
            config,
            Some(Fault::Rounding(10)),
        )?))
    }));
    backends.push(("products in bf16", |config| {
        Ok(Box::new(OracleBackend::open(
            config,
            Some(Fault::Rounding(7)),
        )?))
    }));
    println!("| backend | base width | values | measure of a row | median | 99 % | worst |");
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
        for (name, open) in &backends {
            let mut backend = open(&config)?;
            let mut found = Inference::default();
            found.reset(backend.info(), images.len());
            let bytes = images.concat();
            backend.embed(ImageView::new(shape, &bytes)?, &mut found.as_mut())?;
            let classes = backend.info().classes.len();
            let embeddings = found.embeddings.chunks_exact(DIM);
            let scores = found.scores.chunks_exact(classes);
            let label = format!("{name} | {base_width}");
            let of = answers.iter().map(|answer| answer.embedding.as_slice());
            print(
                &format!("{label} | embeddings"),
                embeddings.zip(of).collect(),
            );
            let of = answers.iter().map(|answer| answer.scores.as_slice());
            print(&format!("{label} | scores"), scores.zip(of).collect());
        }
    }
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
