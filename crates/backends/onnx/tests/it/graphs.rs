//! Graphs of users: those that are as described, and those that are not.

use crate::common;
use std::path::{Path, PathBuf};

use crate::common::graph::{EXTERNAL, Graph, INT8, SIDE, UINT8};
use crate::common::{assert_close, exported, has_runtime, noise, open, refused, run, sample};
use driftline_core::{EmbeddingBackend, ErrorKind, ImageView, Inference};

const BYTES: usize = SIDE * SIDE * 3;

/// Runs ten images through what `graph` is as a file, in batches of `batch`.
fn assert_right(graph: &Graph, layout: &str, batch: usize) {
    let (_folder, manifest) = graph.write(layout);
    let images = noise(10 * BYTES);
    let mut backend = open(manifest, 1).unwrap();
    assert_eq!(backend.info().dim, common::graph::DIM);
    let found = run(&mut backend, &images, batch);
    let expected: Vec<f64> = images
        .chunks(BYTES)
        .flat_map(|image| graph.expected(image))
        .collect();
    assert_close(&found.embeddings, expected.into_iter(), "embedding");
}

#[test]
fn any_dimension_layout_and_batch_is_run() {
    if !has_runtime() {
        return;
    }
    let side = Some(SIDE as u64);
    for first in [None, Some(4)] {
        for batch in [1, 3, 4, 10] {
            let mut graph = Graph::new();
            graph.input = vec![first, Some(3), side, side];
            assert_right(&graph, "nchw", batch);
            graph.input = vec![first, side, side, Some(3)];
            assert_right(&graph, "nhwc", batch);
        }
    }
}

#[test]
fn external_data_beside_the_graph_is_found_and_missing_data_is_named() {
    if !has_runtime() {
        return;
    }
    let mut graph = Graph::new();
    graph.external = true;
    assert_right(&graph, "nchw", 10);
    let (folder, manifest) = graph.write("nchw");
    std::fs::remove_file(folder.path().join(EXTERNAL)).unwrap();
    let message = refused(manifest.clone());
    assert!(
        message.contains("could not read weights")
            && message.contains("m.onnx")
            && message.contains(EXTERNAL),
        "{message}"
    );
    std::fs::write(folder.path().join(EXTERNAL), [0; 7]).unwrap();
    let message = refused(manifest);
    assert!(message.contains("cannot load the graph"), "{message}");
}

#[test]
fn inputs_of_another_type_or_rank_are_refused() {
    if !has_runtime() {
        return;
    }
    let mut graph = Graph::new();
    for (kind, name) in [(INT8, "Int8"), (UINT8, "Uint8")] {
        graph.input_type = kind;
        let (_folder, manifest) = graph.write("nchw");
        let message = refused(manifest);
        let expected =
            format!("the input `pixels` is {name} [-1, 3, 8, 8]; expected Float32 [N, 3, 8, 8]");
        assert!(message.contains(&expected), "{message}");
        assert!(
            message.contains("m.onnx") && message.contains("model.toml"),
            "{message}"
        );
    }
    let side = Some(SIDE as u64);
    let mut graph = Graph::new();
    graph.input = vec![None, Some(3), side, side, Some(1)];
    let (_folder, manifest) = graph.write("nchw");
    let message = refused(manifest);
    // ONNX Runtime itself may find that the graph does not fit its input before it is asked for the shape.
    assert!(
        message.contains("expected Float32 [N, 3, 8, 8]")
            || message.contains("cannot load the graph"),
        "{message}"
    );
}

#[test]
fn a_batch_that_does_not_fit_into_memory_is_halved() {
    if !has_runtime() {
        return;
    }
    // Four images ask for 2^50 bytes, more than any machine can address; two ask for 64 MiB.
    let mut graph = Graph::new();
    graph.greedy = true;
    let (_folder, manifest) = graph.write("nchw");
    let images = noise(4 * BYTES);
    let mut backend = open(manifest, 1).unwrap();
    for _ in 0..2 {
        let found = run(&mut backend, &images, 4);
        let expected: Vec<f64> = images
            .chunks(BYTES)
            .flat_map(|image| graph.expected(image))
            .collect();
        assert_close(&found.embeddings, expected.into_iter(), "embedding");
    }
    // A batch that is fixed cannot be halved; the backend is usable after the error.
    graph.input[0] = Some(4);
    let (_folder, manifest) = graph.write("nchw");
    let mut backend = open(manifest, 1).unwrap();
    for _ in 0..2 {
        let view = ImageView::new(backend.info().input, &images).unwrap();
        let mut out = Inference::default();
        out.reset(backend.info(), 4);
        let error = backend.embed(view, &mut out.as_mut()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Resource, "{error}");
        assert!(error.to_string().contains("ran out of memory"), "{error}");
    }
}

#[test]
fn a_value_that_is_not_finite_reaches_the_caller_in_its_row() {
    if !has_runtime() {
        return;
    }
    let mut graph = Graph::new();
    graph.weight[0] = f32::NAN;
    let (_folder, manifest) = graph.write("nchw");
    let found = run(&mut open(manifest, 1).unwrap(), &noise(2 * BYTES), 2);
    for row in found.embeddings.chunks(common::graph::DIM) {
        assert!(row[0].is_nan());
        assert!(row[1..].iter().all(|value| value.is_finite()));
    }
}

/// The sample model with other weights: `change` gets the bytes of the file and the place of `fc.0.bias` in them.
fn sample_with(change: impl FnOnce(&mut Vec<u8>, usize)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = sample().with_file_name("weights.safetensors");
    let mut bytes = std::fs::read(file).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let bias = tensors.tensor("fc.0.bias").unwrap().data().as_ptr() as usize;
    let at = bias - bytes.as_ptr() as usize;
    change(&mut bytes, at);
    std::fs::write(folder.path().join("weights.safetensors"), bytes).unwrap();
    let manifest = folder.path().join("model.toml");
    std::fs::write(&manifest, without_sha256(&sample())).unwrap();
    (folder, manifest)
}

fn without_sha256(manifest: &Path) -> String {
    let text = std::fs::read_to_string(manifest).unwrap();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("sha256"))
        .collect();
    lines.join("\n")
}

#[test]
fn weights_with_nan_or_of_another_width_are_refused() {
    if !has_runtime() {
        return;
    }
    let nan =
        |bytes: &mut Vec<u8>, at: usize| bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let (_folder, manifest) = sample_with(nan);
    let message = refused(manifest);
    assert!(
        message.contains("`fc.0.bias` holds NaN at position 0"),
        "{message}"
    );

    let (_folder, manifest) = sample_with(|_, _| ());
    open(manifest.clone(), 1).unwrap();
    let text = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, text.replace("dim = 128", "dim = 512")).unwrap();
    let message = refused(manifest);
    assert!(
        message.contains("512") && message.contains("128"),
        "{message}"
    );

    // The header gives the stem 2 x its channels where the rest keeps its own: two widths in one file.
    let (_folder, manifest) = sample_with(|bytes, _| {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
        let (from, to) = ("\"shape\":[128]", "\"shape\":[64,2]");
        assert!(header.contains(from), "{header}");
        let mut header = header.replacen(from, to, 1).trim_end().to_owned();
        while header.len() % 8 != 0 {
            header.push(' ');
        }
        let data = bytes.split_off(8 + length);
        *bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.into_bytes());
        bytes.extend(data);
    });
    let message = refused(manifest);
    assert!(
        message.contains("has shape [64, 2], expected [128]"),
        "{message}"
    );
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
        message.contains("not a whole ONNX model") && message.contains("m.onnx"),
        "{message}"
    );
}
