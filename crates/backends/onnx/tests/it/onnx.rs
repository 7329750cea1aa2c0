//! The backend against float64 PyTorch, and against itself in other batches, threads and files.

use std::path::{Path, PathBuf};

use crate::common::{assert_close, exported, has_runtime, noise, open, run, sample};
use driftline_core::EmbeddingBackend;
use safetensors::SafeTensors;

/// Bytes of one image of the sample model.
const BYTES: usize = 32 * 32 * 3;

#[test]
fn embeddings_and_scores_are_those_of_float64_pytorch() {
    let folder = std::env::var_os("DRIFTLINE_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/data"),
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
    let images = noise(40 * BYTES);
    let whole = run(&mut open(sample(), 2).unwrap(), &images, 40);
    for (batch, threads) in [(1, 1), (7, 2), (40, 1)] {
        let part = run(&mut open(sample(), threads).unwrap(), &images, batch);
        let expected = whole.embeddings.iter().map(|value| f64::from(*value));
        assert_close(&part.embeddings, expected, "embedding");
    }
}

#[test]
fn an_exported_graph_is_the_model_it_came_from() {
    if !has_runtime() {
        return;
    }
    let (_folder, manifest) = exported(|text| text);
    let images = noise(9 * BYTES);
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
    let found = run(&mut backend, &noise(2 * BYTES), 2);
    assert_eq!(found.embeddings.len(), 2 * backend.info().dim);
}
