//! The backend against float64 PyTorch on real images and weights, and against itself.

use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use driftline_backend_candle::{
    CandleBackend, Embed, Instructions, KernelsBackend, chosen, compile,
};
use driftline_core::{
    BackendConfig, EmbeddingBackend, ImageShape, ImageView, Inference, Precision,
};
use driftline_model::ModelPackage;
use safetensors::SafeTensors;

const SHAPE: ImageShape = ImageShape {
    height: 32,
    width: 32,
};

fn data_folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("DRIFTLINE_TEST_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data"),
    };
    let there = folder.join("golden.safetensors").is_file();
    if !there {
        println!("skipped: no golden.safetensors; set DRIFTLINE_TEST_DATA to its folder");
    }
    there.then_some(folder)
}

fn f64s(file: &SafeTensors<'_>, name: &str) -> Vec<f64> {
    let bytes = file.tensor(name).unwrap().data();
    bytes
        .as_chunks()
        .0
        .iter()
        .map(|chunk| f64::from_le_bytes(*chunk))
        .collect()
}

fn open(folder: &Path, threads: usize, instructions: Instructions) -> CandleBackend {
    let config = BackendConfig::new(folder.join("resnet18_cifar10.pth"), threads);
    CandleBackend::fused(&config, instructions).unwrap()
}

fn run(backend: &mut dyn EmbeddingBackend, images: &[u8], batch: usize) -> Inference {
    let mut all = Inference::default();
    for images in images.chunks(batch * SHAPE.bytes()) {
        let view = ImageView::new(SHAPE, images).unwrap();
        let mut part = Inference::default();
        part.reset(backend.info(), view.len());
        backend.embed(view, &mut part.as_mut()).unwrap();
        all.embeddings.extend(part.embeddings);
        all.scores.extend(part.scores);
    }
    all
}

fn assert_close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len());
    let mut largest = 0.0_f64;
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*f) - e).abs();
        largest = largest.max(difference);
        assert!(
            difference <= 1e-5 + 1e-5 * e.abs(),
            "{what} {i}: {f} is not {e}"
        );
    }
    println!("{what}: largest difference {largest:.2e}");
}

#[test]
fn embeddings_and_scores_are_those_of_float64_pytorch() {
    let Some(folder) = data_folder() else { return };
    let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let images = golden.tensor("images").unwrap().data();
    for instructions in Instructions::supported(Precision::Fp32) {
        let found = run(&mut open(&folder, 2, instructions), images, 256);
        assert_close(
            &found.embeddings,
            &f64s(&golden, "embeddings_f64"),
            &format!("{instructions}: embedding"),
        );
        assert_close(
            &found.scores,
            &f64s(&golden, "probabilities_f64"),
            &format!("{instructions}: score"),
        );
    }
}

#[test]
fn embeddings_and_scores_of_candles_own_operations_are_too() {
    let Some(folder) = data_folder() else { return };
    let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let images = golden.tensor("images").unwrap().data();
    let mut config = BackendConfig::new(folder.join("resnet18_cifar10.pth"), 2);
    config.options.insert("fused".to_owned(), false.into());
    let mut backend = CandleBackend::open(&config).unwrap();
    let found = run(&mut backend, images, 64);
    let embeddings = f64s(&golden, "embeddings_f64");
    assert_close(&found.embeddings, &embeddings, "layers: embedding");
    let scores = f64s(&golden, "probabilities_f64");
    assert_close(&found.scores, &scores, "layers: score");
}

#[test]
fn an_engine_says_what_computes() {
    let Some(folder) = data_folder() else { return };
    let mut config = BackendConfig::new(folder.join("resnet18_cifar10.pth"), 1);
    for instructions in Instructions::supported(Precision::Fp32) {
        let fused = CandleBackend::fused(&config, instructions).unwrap();
        let candle = CandleBackend::layers(&config).unwrap();
        let kernels = KernelsBackend::with_instructions(&config, instructions).unwrap();
        let [fused, candle, kernels] =
            [fused.info(), candle.info(), kernels.info()].map(|info| info.engine.clone());
        assert_eq!(fused, format!("{candle} + {kernels}"));
        assert!(candle.starts_with("candle 0."), "{candle}");
        assert!(kernels.starts_with("driftline kernels "), "{kernels}");
        assert!(kernels.ends_with(&format!("({instructions})")), "{kernels}");
    }
    config.options.insert("fused".to_owned(), true.into());
    let engine = driftline_backend_candle::engine().unwrap();
    assert_eq!(CandleBackend::open(&config).unwrap().info().engine, engine);
}

#[test]
fn neither_threads_nor_batch_size_nor_vectors_change_a_bit() {
    let Some(folder) = data_folder() else { return };
    let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let images = &golden.tensor("images").unwrap().data()[..100 * SHAPE.bytes()];
    let mut fused: Option<Inference> = None;
    for instructions in Instructions::supported(Precision::Fp32) {
        let reference = run(&mut open(&folder, 1, instructions), images, 100);
        if instructions != Instructions::Portable {
            let fused = fused.get_or_insert_with(|| reference.clone());
            assert_eq!(reference.embeddings, fused.embeddings, "{instructions}");
        }
        for threads in [2, 5] {
            let mut backend = open(&folder, threads, instructions);
            for batch in [1, 2, 7, 33, 100] {
                let found = run(&mut backend, images, batch);
                let what = format!("{instructions}, {threads} threads, batch size {batch}");
                assert_eq!(found.embeddings, reference.embeddings, "{what}");
                assert_eq!(found.scores, reference.scores, "{what}");
            }
        }
    }
}

#[test]
fn as_an_operation_of_candle_it_gives_the_same_embeddings() {
    let Some(folder) = data_folder() else { return };
    let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let images = &golden.tensor("images").unwrap().data()[..5 * SHAPE.bytes()];
    let instructions = chosen(Precision::Fp32).unwrap();
    let package = ModelPackage::open(&folder.join("resnet18_cifar10.pth")).unwrap();
    let (weights, _) = package.network().unwrap();
    let network = compile(
        &weights,
        &package.preprocessing,
        2,
        instructions,
        Precision::Fp32,
    )
    .unwrap();
    let operation = Embed::new(network);
    let tensor = Tensor::from_slice(images, (5, 32, 32, 3), &Device::Cpu).unwrap();
    let embeddings = tensor.apply_op1_no_bwd(&operation).unwrap();
    assert_eq!(embeddings.dims(), [5, 128]);
    let reference = run(&mut open(&folder, 1, instructions), images, 5);
    let found: Vec<f32> = embeddings.flatten_all().unwrap().to_vec1().unwrap();
    assert_eq!(found, reference.embeddings);
    let small = Tensor::from_slice(&images[..48], (1, 4, 4, 3), &Device::Cpu).unwrap();
    let error = small.apply_op1_no_bwd(&operation).unwrap_err();
    assert!(error.to_string().contains("32x32"), "{error}");
}

#[test]
fn wrong_shapes_are_refused_and_no_image_is_no_work() {
    let Some(folder) = data_folder() else { return };
    let mut backend = open(&folder, 1, chosen(Precision::Fp32).unwrap());
    let small = ImageShape {
        height: 16,
        width: 16,
    };
    let mut out = Inference::default();
    out.reset(backend.info(), 1);
    let image = vec![0; small.bytes()];
    let error = backend
        .embed(ImageView::new(small, &image).unwrap(), &mut out.as_mut())
        .unwrap_err();
    assert!(
        error.to_string().contains("expected 32x32, found 16x16"),
        "{error}"
    );
    out.reset(backend.info(), 0);
    let none = ImageView::new(SHAPE, &[]).unwrap();
    backend.embed(none, &mut out.as_mut()).unwrap();
    out.reset(backend.info(), 1);
    let image = vec![7; SHAPE.bytes()];
    let view = ImageView::new(SHAPE, &image).unwrap();
    backend.embed(view, &mut out.as_mut()).unwrap();
    assert!(out.embeddings.iter().all(|value| value.is_finite()));
}
