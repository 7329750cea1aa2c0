//! `driftline store`: a store with faults is checked, repaired and compacted.

use std::fs;
use std::path::PathBuf;

use crate::common::Workspace;

const MODEL: &str = "sample-resnet18";

fn parts(workspace: &Workspace) -> Vec<PathBuf> {
    let days = workspace
        .path("driftline-store/image_monitoring")
        .join(MODEL)
        .join("events");
    let mut found: Vec<PathBuf> = fs::read_dir(days)
        .unwrap()
        .flat_map(|day| fs::read_dir(day.unwrap().path()).unwrap())
        .map(|file| file.unwrap().path())
        .collect();
    found.sort();
    found
}

#[test]
fn damage_is_found_set_aside_and_run_again() {
    let workspace = Workspace::new();
    workspace.small_run();
    workspace.json(&["run"]);
    let rows = workspace.rows("driftline-store", MODEL);
    assert_eq!(workspace.json(&["store", "check"]), serde_json::json!([]));

    let path = parts(&workspace).remove(0);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let checked = workspace.command(["store", "check"]).output().unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(
        text.contains(&name) && text.contains("lost unless"),
        "{text}"
    );

    let repaired = workspace.json(&["store", "repair"]);
    assert_eq!(repaired[0]["repaired"], true, "{repaired}");
    assert!(workspace.rows("driftline-store", MODEL).len() < rows.len());
    // What was set aside needs no repair; it is only listed.
    assert_eq!(workspace.json(&["store", "check"])[0]["repaired"], true);

    let compacted = workspace.json(&["store", "compact"]);
    assert_eq!(compacted[0]["model"], MODEL);
    workspace.fails(
        &["store", "check", "--store", "nowhere"],
        1,
        &["no such store"],
    );
}
