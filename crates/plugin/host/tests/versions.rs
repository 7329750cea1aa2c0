//! Old plugins and new ones: a plugin of the first released header, and one whose structs have grown since.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use arrow_array::RecordBatch;
use driftline_core::sink::ImageEmbedding;
use driftline_core::{
    Ack, DriftTransform, ErrorKind, EventLabel, ImageBatch, ImageShape, MonitorSink, MonitorSpec,
    Row, RowSchema, RowsBuilder, TransformContext, TransformSpec,
};
use driftline_plugin_host::manifest::machine;
use driftline_plugin_host::{Library, Lock, Manifest, PluginSink, PluginTransform, Policy};
use serde_json::Map;
use sha2::{Digest, Sha256};

const HEADER: &[u8] = include_bytes!("frozen/driftline_plugin_1_0.h");

/// Compiles a frozen plugin, which offers one `kind`, with `flags`, and loads it by its manifest.
fn library(name: &str, source: &str, kind: &str, flags: &[&str]) -> &'static Library {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let source = crate_folder.join("tests/frozen").join(source);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let library = folder.path().join("frozen.so");
    let mut compiler = Command::new("cc");
    compiler.args([
        "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-I",
    ]);
    compiler.arg(crate_folder.join("../abi/include")).arg("-o");
    let status = compiler.arg(&library).arg(source).args(flags).status();
    assert!(status.unwrap().success(), "{name}");
    let manifest = folder.path().join("frozen.plugin.toml");
    let text = format!(
        "manifest_version = 1\n[plugin]\nname = \"frozen\"\nversion = \"1.0.0\"\nabi = \"1.0\"\n         [library.{}]\npath = \"frozen.so\"\n[[component]]\nkind = \"{kind}\"\nname = \"frozen\"\n",
        machine()
    );
    std::fs::write(&manifest, text).unwrap();
    let policy = Policy {
        lock: Lock::open(&folder.path().join("plugins.lock")).unwrap(),
        require_lock: false,
        probe: None,
    };
    Library::open(&Manifest::open(&manifest).unwrap(), &policy).unwrap()
}

/// Applies the transform of the frozen plugin.
fn works(name: &str, flags: &[&str]) -> usize {
    let library = library(name, "plugin.c", "transform", flags);
    let spec = TransformSpec::parse_list("frozen").unwrap().remove(0);
    let transform = PluginTransform::new(library, &spec).unwrap();
    let shape = ImageShape {
        height: 2,
        width: 3,
    };
    let bytes: Vec<u8> = (0..2 * shape.bytes() as u8).collect();
    let mut images = ImageBatch::new(shape, bytes.clone()).unwrap();
    let context = TransformContext {
        seed: 1,
        rows: &[0, 1],
    };
    transform.apply(&mut images, &context).unwrap();
    let expected: Vec<u8> = bytes.iter().map(|value| 255 - value).collect();
    assert_eq!(images.as_bytes(), expected, "{name}");
    library.components.len()
}

#[test]
fn plugins_of_the_first_header_and_of_a_later_minor_version_work_beside_each_other() {
    // One after the other: neither is taken for the other.
    assert_eq!(works("old", &[]), 1);
    assert_eq!(works("newer", &["-DNEWER"]), 2);
    assert_eq!(works("old, built again", &["-DAGAIN", "-g"]), 1);
}

fn monitor() -> MonitorSpec {
    MonitorSpec {
        project: "project".to_owned(),
        dataset: "dataset".to_owned(),
        model: "model".to_owned(),
        model_sha256: String::new(),
        schema: RowSchema::new(1, vec!["cat".to_owned()]).unwrap(),
        custom_feature: ImageEmbedding {
            name: "feature".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: 5,
        },
    }
}

fn rows() -> RecordBatch {
    let mut rows = RowsBuilder::new(monitor().schema);
    let row = Row {
        event_id: "known",
        timestamp_ms: 0,
        embedding: &[0.5],
        scores: &[0.5],
        target: None,
        image_url: "url",
        image_number: 0,
        window: "week-1",
        properties: &[],
    };
    rows.push(&row).unwrap();
    rows.finish().unwrap()
}

fn labels() -> [EventLabel; 2] {
    ["known", "not there"].map(|event_id| EventLabel {
        event_id: event_id.to_owned(),
        target: "cat".to_owned(),
    })
}

fn sink(name: &str, flags: &[&str]) -> PluginSink {
    let library = library(name, "sink.c", "sink", flags);
    PluginSink::open(library, "frozen", &Map::new(), &monitor()).unwrap()
}

#[test]
fn a_sink_of_the_first_header_says_that_it_does_not_support_labels_and_loses_nothing() {
    let mut sink = sink("old sink", &[]);
    let ack = Ack {
        accepted: 1,
        duplicates: 0,
    };
    assert_eq!(sink.publish_baseline(&rows()).unwrap(), ack);
    for _ in 0..2 {
        let error = sink.publish_labels(&labels()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let text = error.to_string();
        assert!(
            text.contains("`frozen` does not support labels") && text.contains("interface 1.1"),
            "{text}"
        );
        // The refusal has not touched it.
        assert_eq!(sink.publish_events(&rows()).unwrap(), ack);
    }
    sink.flush().unwrap();
    assert_eq!(sink.info().location, "nowhere");
}

#[test]
fn a_sink_of_version_1_1_gets_labels() {
    let mut sink = sink("sink with labels", &["-DLABELS"]);
    assert_eq!(sink.publish_events(&rows()).unwrap().accepted, 1);
    let ack = sink.publish_labels(&labels()).unwrap();
    assert_eq!((ack.accepted, ack.duplicates), (1, 1));
    assert_eq!(sink.publish_labels(&[]).unwrap(), Ack::default());
    sink.flush().unwrap();
}

#[test]
fn the_first_header_is_as_it_was_released() {
    let digest: String = Sha256::digest(HEADER)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        digest,
        "67a3fc4cf44e5a3b5df6be27ff536fdb3574c70a72f25c3e59dbfbc51ad7ad66"
    );
}
