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
    println!("| backend | base width | measure of a row | median | 99 % | worst |");
    println!("| --- | --- | --- | --- | --- | --- |");
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
            let rows = || found.embeddings.chunks_exact(DIM).zip(&answers);
            let differences: Vec<_> = rows()
                .map(|(found, answer)| Difference::of(found, &answer.embedding))
                .collect();
            let of = |measure: fn(&Difference) -> f64| differences.iter().map(measure).collect();
            let print = |measure: &str, mut values: Vec<f64>| {
                values.sort_by(f64::total_cmp);
                let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
                println!(
                    "| {name} | {base_width} | {measure} | {:.1e} | {:.1e} | {:.1e} |",
                    at(0.5),
                    at(0.99),
                    at(1.0)
                );
            };
            print("max abs", of(|difference| difference.max_abs));
            let share = rows().map(|(found, answer)| {
                let values = found.iter().zip(&answer.embedding);
                let shares = values.map(|(f, e)| {
                    (f64::from(*f) - e).abs() / (FP32.absolute + FP32.relative * e.abs())
                });
                shares.fold(0.0, f64::max)
            });
            print("share of the fp32 bound", share.collect());
            print("relative L2", of(|difference| difference.relative_l2));
            print("1 - cosine", of(|difference| 1.0 - difference.min_cosine));
            print(
                "abs(norm ratio - 1)",
                of(|difference| (difference.norm_ratio - 1.0).abs()),
            );
        }
    }
    Ok(())
}
