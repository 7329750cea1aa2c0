//! The backend against float64 PyTorch on real images and weights, and against itself.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use driftline_backend_candle::CandleBackend;
use driftline_core::{BackendConfig, EmbeddingBackend, ImageShape, ImageView, Inference};
use safetensors::SafeTensors;

const SHAPE: ImageShape = ImageShape {
    height: 32,
    width: 32,
};

fn data_folder() -> Option<PathBuf> {
    let folder = match std::env::var_os("DRIFTLINE_TEST_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
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

fn open(folder: &Path, threads: usize) -> CandleBackend {
    CandleBackend::open(&BackendConfig::new(
        folder.join("resnet18_cifar10.pth"),
        threads,
    ))
    .unwrap()
}

fn run(backend: &mut CandleBackend, images: &[u8], batch: usize) -> Inference {
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
    let found = run(&mut open(&folder, 2), images, 256);
    assert_close(
        &found.embeddings,
        &f64s(&golden, "embeddings_f64"),
        "embedding",
    );
    assert_close(&found.scores, &f64s(&golden, "probabilities_f64"), "score");
}

#[test]
fn threads_change_no_bit_and_batch_size_no_more_than_rounding() {
    let Some(folder) = data_folder() else { return };
    let bytes = std::fs::read(folder.join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let images = &golden.tensor("images").unwrap().data()[..70 * SHAPE.bytes()];
    let (mut one, mut two) = (open(&folder, 1), open(&folder, 2));
    let reference = run(&mut one, images, 70);
    for batch in [1, 7, 70] {
        let single = run(&mut one, images, batch);
        let double = run(&mut two, images, batch);
        assert_eq!(single.embeddings, double.embeddings, "batch size {batch}");
        assert_eq!(single.scores, double.scores, "batch size {batch}");
        for (a, b) in single.embeddings.iter().zip(&reference.embeddings) {
            assert!((a - b).abs() <= 1e-5, "batch size {batch}: {a} is not {b}");
        }
    }
}

#[test]
fn wrong_shapes_are_refused_and_no_image_is_no_work() {
    let Some(folder) = data_folder() else { return };
    let mut backend = open(&folder, 1);
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
