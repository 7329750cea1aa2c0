//! The backend against float64 PyTorch, against candle's weights, and on graphs and libraries that are not right.
//!
//! The library is the one that `ORT_DYLIB_PATH` names; the tests of a machine without one say so and pass, unless the
//! variable is set.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use driftline_backend_onnx::{OnnxBackend, find};
use driftline_core::{BackendConfig, EmbeddingBackend, Error, ImageShape, ImageView, Inference};
use safetensors::SafeTensors;

const SHAPE: ImageShape = ImageShape {
    height: 32,
    width: 32,
};

fn has_runtime() -> bool {
    if std::env::var_os("ORT_DYLIB_PATH").is_some() {
        return true;
    }
    println!("skipped: set ORT_DYLIB_PATH to a libonnxruntime");
    false
}

fn sample() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../driftline/models/sample/model.toml")
}

fn open(model: PathBuf, threads: usize) -> Result<OnnxBackend, Error> {
    OnnxBackend::open(&BackendConfig::new(model, threads), None)
}

fn run(backend: &mut OnnxBackend, images: &[u8], batch: usize) -> Inference {
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

/// `count` images of repeatable noise.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..count * SHAPE.bytes())
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 56) as u8
        })
        .collect()
}

fn assert_close(found: &[f32], expected: impl ExactSizeIterator<Item = f64>, what: &str) {
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
    let folder = std::env::var_os("DRIFTLINE_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let Ok(bytes) = std::fs::read(folder.join("golden.safetensors")) else {
        println!("skipped: no golden.safetensors; set DRIFTLINE_TEST_DATA to its folder");
        return;
    };
    if !has_runtime() {
        return;
    }
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let mut backend = open(folder.join("resnet18_cifar10.pth"), 2).unwrap();
    let found = run(&mut backend, golden.tensor("images").unwrap().data(), 256);
    let f64s = |name: &str| {
        let view = golden.tensor(name).unwrap();
        let values: Vec<f64> = view
            .data()
            .as_chunks()
            .0
            .iter()
            .map(|chunk| f64::from_le_bytes(*chunk))
            .collect();
        values.into_iter()
    };
    assert_close(&found.embeddings, f64s("embeddings_f64"), "embedding");
    assert_close(&found.scores, f64s("probabilities_f64"), "score");
}

#[test]
fn batch_size_and_threads_change_no_more_than_rounding() {
    if !has_runtime() {
        return;
    }
    let images = noise(40);
    let whole = run(&mut open(sample(), 2).unwrap(), &images, 40);
    for (batch, threads) in [(1, 1), (7, 2), (40, 1)] {
        let part = run(&mut open(sample(), threads).unwrap(), &images, batch);
        let expected = whole.embeddings.iter().map(|value| f64::from(*value));
        assert_close(&part.embeddings, expected, "embedding");
    }
}

/// The exported sample model in a folder of its own, whose model.toml `change` rewrites.
fn exported(change: impl Fn(String) -> String) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let package = driftline_model::ModelPackage::open(&sample()).unwrap();
    let manifest = package.export_onnx(&folder.path().join("m.onnx")).unwrap();
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, change(text)).unwrap();
    (folder, manifest)
}

fn refused(manifest: PathBuf) -> String {
    match open(manifest, 1) {
        Ok(_) => panic!("it was opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_exported_graph_is_the_model_it_came_from() {
    if !has_runtime() {
        return;
    }
    let (_folder, manifest) = exported(|text| text);
    let images = noise(9);
    let expected = run(&mut open(sample(), 1).unwrap(), &images, 9);
    let found = run(&mut open(manifest, 1).unwrap(), &images, 9);
    assert_eq!(found.embeddings, expected.embeddings);
    assert_eq!(found.scores, expected.scores);
}

#[test]
fn a_graph_without_scores_gives_embeddings() {
    if !has_runtime() {
        return;
    }
    let (_folder, manifest) = exported(|text| {
        let text = text.replace("[scores]\nlayer = \"probabilities\"\n", "");
        let classes = text
            .lines()
            .find(|line| line.starts_with("classes"))
            .unwrap();
        text.replace(classes, "")
    });
    let mut backend = open(manifest, 1).unwrap();
    assert!(backend.info().classes.is_empty());
    let found = run(&mut backend, &noise(2), 2);
    assert_eq!(found.embeddings.len(), 2 * backend.info().dim);
}

#[test]
fn a_graph_that_is_not_as_described_is_refused_with_what_it_has() {
    if !has_runtime() {
        return;
    }
    let cases = [
        (
            "layer = \"embeddings\"",
            "layer = \"pooled\"",
            "no output `pooled`; it has: embeddings, probabilities",
        ),
        (
            "name = \"images\"",
            "name = \"pixels\"",
            "no input `pixels`; it has: images",
        ),
        ("dim = 128", "dim = 64", "expected Float32 [N, 64]"),
        (
            "layout = \"nchw\"",
            "layout = \"nhwc\"",
            "expected Float32 [N, 32, 32, 3]",
        ),
        (
            "height = 32",
            "height = 64",
            "expected Float32 [N, 3, 64, 32]",
        ),
    ];
    for (from, to, expected) in cases {
        let (_folder, manifest) = exported(|text| {
            assert!(text.contains(from), "{text}");
            text.replacen(from, to, 1)
        });
        let message = refused(manifest);
        assert!(message.contains(expected), "{message}");
        assert!(message.contains("m.onnx"), "{message}");
    }
}

#[test]
fn a_truncated_graph_is_refused() {
    if !has_runtime() {
        return;
    }
    let (folder, manifest) = exported(|text| {
        let sha256 = text
            .lines()
            .find(|line| line.starts_with("sha256"))
            .unwrap();
        text.replace(sha256, "")
    });
    let graph = folder.path().join("m.onnx");
    let bytes = std::fs::read(&graph).unwrap();
    std::fs::write(&graph, &bytes[..bytes.len() / 2]).unwrap();
    let message = refused(manifest);
    assert!(
        message.contains("cannot load the graph") && message.contains("m.onnx"),
        "{message}"
    );
}

#[test]
fn what_is_no_library_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libonnxruntime.so");
    std::fs::write(&text, "not a library").unwrap();
    // An ELF header of a 64-bit little-endian SPARC object: a library of another machine.
    let foreign = folder.path().join("foreign.so");
    let mut header = vec![0; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    header[16] = 3;
    header[18] = if cfg!(target_arch = "x86_64") {
        183
    } else {
        62
    };
    header[20] = 1;
    header[52] = 64;
    std::fs::write(&foreign, header).unwrap();
    let cases = [
        (folder.path().to_owned(), "it is a folder"),
        (text, "it is no library"),
        (foreign, "and this machine is"),
        (folder.path().join("missing.so"), "No such file"),
    ];
    for (path, expected) in cases {
        let error = find(Some(&path), None).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.contains(&path.display().to_string()), "{error}");
        assert!(error.contains("runtime install onnx"), "{error}");
    }
}

#[test]
#[cfg(target_os = "linux")]
fn another_library_is_refused() {
    // The C library is on every machine that these tests run on, under a name that the loader knows.
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let path = maps
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .find(|path| path.contains("libc.so") || path.contains("libc-"))
        .unwrap();
    let error = find(Some(Path::new(path)), None).unwrap_err().to_string();
    assert!(error.contains("it is not ONNX Runtime"), "{error}");
}
