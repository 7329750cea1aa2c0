//! The author's way: a new plugin in Rust and in C, built outside of this repository, tested, found and used.

#![cfg(unix)]

use std::fs;
use std::path::Path;

use crate::common::{Workspace, stderr};
use driftline::core::Rows;

/// Runs the commands of a page of the guide in `folder`; what was built there before is used again. Returns the
/// embeddings that the last ones lead to, and the summary of the run.
fn follow(page: &str, folder: &Path) -> Vec<f32> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../docs/src/guide")
        .join(page);
    let text = fs::read_to_string(&page).unwrap();
    let blocks = text
        .split("```sh\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap());
    let script = blocks.collect::<String>();
    for step in ["plugin new", "plugin test", "transforms", "embed", "run"] {
        assert!(
            script.contains(&format!("driftline {step}")),
            "the guide has no `{step}`"
        );
    }
    let made = folder.join("film-grain");
    let kept = folder.join("kept");
    if made.join("target").is_dir() {
        fs::rename(made.join("target"), &kept).unwrap();
    }
    let _ = fs::remove_dir_all(&made);
    let _ = fs::remove_dir_all(folder.join("driftline-store"));
    let _ = fs::remove_file(folder.join("rows.parquet"));
    let into = "cd film-grain\nif [ -d ../kept ]; then mv ../kept target; fi\n";
    let script = script.replace("cd film-grain\n", into);
    let images = Workspace::within(folder);
    images.small_run();
    for name in ["train", "test", "driftline.toml"] {
        let _ = fs::remove_dir_all(folder.join(name));
        fs::rename(images.path(name), folder.join(name)).unwrap();
    }
    let driftline = Path::new(env!("CARGO_BIN_EXE_driftline"))
        .parent()
        .unwrap()
        .to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = [driftline].into_iter().chain(std::env::split_paths(&path));
    let output = images
        .program("sh")
        .args(["-e", "-x", "-c", &script])
        .current_dir(folder)
        .env("PATH", std::env::join_paths(path).unwrap())
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}{}", stderr(&output));
    assert!(
        shown.contains("film_grain: 12 of 12 cases passed"),
        "{shown}"
    );
    assert!(shown.contains("film_grain(amount=0.5)"), "{shown}");
    embeddings(&folder.join("rows.parquet"))
}

fn embeddings(path: &Path) -> Vec<f32> {
    let file = fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file);
    let batches = reader.unwrap().build().unwrap();
    batches
        .flat_map(|batch| Rows::new(batch.unwrap()).unwrap().embeddings().to_vec())
        .collect()
}

#[test]
fn a_plugin_in_rust_and_one_in_c_are_made_tested_found_and_used_as_the_guide_says_and_agree() {
    let place = |name: &str| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join("guide")
            .join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    };
    let from_rust = follow("plugin-in-rust.md", &place("rust"));
    let from_c = follow("plugin-in-c.md", &place("c"));
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
        &["the folder is not empty", "--into"],
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
