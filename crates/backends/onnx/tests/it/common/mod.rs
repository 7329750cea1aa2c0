//! What the tests share: the library, the sample model, images.
//!
//! The library is the one that `ORT_DYLIB_PATH` names; the tests of a machine without one say so and pass, unless the
//! variable is set.

pub mod graph;

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use driftline_backend_onnx::OnnxBackend;
use driftline_core::{BackendConfig, Device, EmbeddingBackend, Error, ImageView, Inference};

pub fn has_runtime() -> bool {
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        return true;
    }
    println!("skipped: set ORT_DYLIB_PATH to a libonnxruntime");
    false
}

pub fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../driftline/models/sample/model.toml")
}

pub fn open(model: PathBuf, threads: usize) -> Result<OnnxBackend, Error> {
    promptly(move || OnnxBackend::open(&BackendConfig::new(model, threads), None))
}

pub fn open_on(
    model: PathBuf,
    device: Device,
    runtime: Option<PathBuf>,
) -> Result<OnnxBackend, Error> {
    let config = BackendConfig {
        device,
        runtime,
        ..BackendConfig::new(model, 1)
    };
    promptly(move || OnnxBackend::open(&config, None))
}

/// The error that opening `model` ends with.
pub fn refused(model: PathBuf) -> String {
    match open(model, 1) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

/// What `work` returns; fails if it hangs.
pub fn promptly<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || send.send(work()));
    receive
        .recv_timeout(Duration::from_secs(60))
        .expect("it hangs, or it panicked")
}

/// Embeds `images` in batches of `batch`.
pub fn run(backend: &mut OnnxBackend, images: &[u8], batch: usize) -> Inference {
    let shape = backend.info().input;
    let mut all = Inference::default();
    for images in images.chunks(batch * shape.bytes()) {
        let view = ImageView::new(shape, images).unwrap();
        let mut part = Inference::default();
        part.reset(backend.info(), view.len());
        backend.embed(view, &mut part.as_mut()).unwrap();
        all.embeddings.extend(part.embeddings);
        all.scores.extend(part.scores);
    }
    all
}

/// `count` bytes of repeatable noise.
pub fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..count)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

pub fn assert_close(found: &[f32], expected: impl ExactSizeIterator<Item = f64>, what: &str) {
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

/// The exported sample model in a folder of its own, whose model.toml `change` rewrites.
pub fn exported(change: impl Fn(String) -> String) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let package = driftline_model::ModelPackage::open(&sample()).unwrap();
    let manifest = package.export_onnx(&folder.path().join("m.onnx")).unwrap();
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, change(text)).unwrap();
    (folder, manifest)
}
