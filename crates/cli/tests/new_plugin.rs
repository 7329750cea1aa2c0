//! The author's way: a new plugin in Rust and in C, built outside of this repository, tested, found and used.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Workspace, stderr};
use driftline::core::Rows;

/// Makes, builds and uses a plugin in `folder` as its README and the guide say; the embeddings that it leads to.
fn author(folder: &Path, language: &str, build: &mut Command) -> Vec<f32> {
    let name = format!("film-{language}");
    let component = format!("film_{language}");
    let workspace = Workspace::within(Path::new(env!("CARGO_TARGET_TMPDIR")));
    workspace.small_run();
    let at = folder.to_str().unwrap();
    let made = workspace.json(&["plugin", "new", &name, "--lang", language, "--into", at]);
    assert_eq!(made["component"], component.as_str());
    let built = build
        .current_dir(folder)
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", stderr(&built));
    let manifest = made["manifest"].as_str().unwrap();
    let tested = workspace.json(&["plugin", "test", manifest]);
    assert_eq!(tested["components"][0]["name"], component.as_str());
    assert_eq!(tested["components"][0]["failed"], 0);
    assert_eq!(
        tested["components"][0]["passed"],
        tested["components"][0]["cases"]
    );
    let again = workspace.json(&["conformance", "--plugin", manifest]);
    assert_eq!(
        again["components"][0]["passed"],
        tested["components"][0]["passed"]
    );
    let found = workspace.json(&["transforms", "--plugin-path", at]);
    let names: Vec<_> = found
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["name"])
        .collect();
    assert!(names.contains(&&component.as_str().into()), "{found}");
    let expression = format!("{component}(0.5)");
    let settings = workspace.path("driftline.toml");
    let arguments = ["run", "-c", settings.to_str().unwrap(), "--plugin-path", at];
    let summary = workspace.json(&[&arguments[..], &["--transform", &expression]].concat());
    let whole = format!("{component}(amount=0.5)");
    assert_eq!(summary["windows"][0]["transform"], whole.as_str());
    let rows = workspace.path("rows.parquet");
    let arguments = [
        "embed",
        "test",
        "-o",
        rows.to_str().unwrap(),
        "--plugin-path",
        at,
    ];
    let transform = ["--transform", &expression, "--quiet"];
    let output = workspace.run([&arguments[..], &transform].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    embeddings(&rows)
}

fn embeddings(path: &Path) -> Vec<f32> {
    let file = fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
    let batches = reader.unwrap().build().unwrap();
    batches
        .flat_map(|batch| Rows::new(batch.unwrap()).unwrap().embeddings().to_vec())
        .collect()
}

/// A folder for a plugin; what was built there before is kept.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_new_plugin_in_rust_and_one_in_c_are_built_tested_found_and_used_and_agree() {
    let place = folder("new-plugins");
    let (rust, c) = (place.join("film-rust"), place.join("film-c"));
    let _ = fs::remove_dir_all(&c);
    // Cargo builds beside it, and the target folder is moved in, so that dependencies are built once.
    let kept = place.join("target");
    if rust.join("target").is_dir() {
        fs::rename(rust.join("target"), &kept).unwrap();
    }
    let _ = fs::remove_dir_all(&rust);
    let mut build = Command::new("sh");
    build.args(["-c", "if [ -d ../target ]; then mv ../target target; fi; cargo test --release && cargo build --release"]);
    let from_rust = author(&rust, "rust", &mut build);
    let from_c = author(&c, "c", &mut Command::new("make"));
    assert!(!from_rust.is_empty());
    assert_eq!(from_rust, from_c);
}

#[test]
fn what_is_there_is_not_overwritten_and_bad_names_are_refused() {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("taken")).unwrap();
    fs::write(workspace.path("taken/file"), "mine").unwrap();
    workspace.fails(
        &["plugin", "new", "taken"],
        2,
        &["something already", "--into"],
    );
    workspace.fails(
        &["plugin", "new", "Bad_Name"],
        2,
        &["cannot be a plugin's name"],
    );
    assert_eq!(
        fs::read_to_string(workspace.path("taken/file")).unwrap(),
        "mine"
    );
}
