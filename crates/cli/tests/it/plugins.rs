//! Plugins as the operator sees them: listed, looked into, trusted, refused.
//!
//! `DRIFTLINE_PLUGIN_PATH` names the folder with the plugin `template-rust`.

#![cfg(unix)]

use crate::common;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{Workspace, stderr};
use serde_json::Value;

const NAME: &str = "driftline-template";
const LIBRARY: &str = "libdriftline_template.so";
const MANIFEST: &str = "template-rust.plugin.toml";

/// A folder `plugins` with the plugin template-rust in it, that nobody else can write to.
fn workspace() -> Option<Workspace> {
    workspace_with([LIBRARY, MANIFEST])
}

fn workspace_with([library, manifest]: [&str; 2]) -> Option<Workspace> {
    let source = std::env::var_os("DRIFTLINE_PLUGIN_PATH").map(PathBuf::from);
    let Some(source) = source.filter(|folder| folder.join(library).is_file()) else {
        println!("skipped: DRIFTLINE_PLUGIN_PATH names no folder with {library}");
        return None;
    };
    // Not below the folder for temporary files, which everyone may write to.
    let workspace = Workspace::within(Path::new(env!("CARGO_TARGET_TMPDIR")));
    fs::create_dir(workspace.path("plugins")).unwrap();
    for file in [library, manifest] {
        fs::copy(source.join(file), workspace.path("plugins").join(file)).unwrap();
    }
    Some(workspace)
}

fn run(workspace: &Workspace, arguments: &[&str]) -> Output {
    workspace.run([arguments, &["--plugin-path", "plugins"]].concat())
}

fn json(workspace: &Workspace, arguments: &[&str]) -> Value {
    let output = run(workspace, &[arguments, &["--json"]].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

const EMBED: [&str; 7] = [
    "embed",
    "test",
    "-o",
    "rows.parquet",
    "--quiet",
    "--transform",
    "invert(0.5)",
];

fn refused(workspace: &Workspace, expected: &str) {
    let output = run(workspace, &EMBED);
    let text = stderr(&output);
    assert!(!output.status.success(), "it was loaded");
    assert!(text.contains(expected), "{text}");
    assert!(!workspace.path("rows.parquet").exists());
}

#[test]
fn a_plugin_is_listed_looked_into_and_used() {
    let Some(workspace) = workspace() else { return };
    workspace.small_run();
    let listed = json(&workspace, &["plugin", "list"]);
    assert_eq!(listed[0]["name"], NAME);
    assert_eq!(listed[0]["components"][0], "transform invert");
    assert_eq!(listed[0]["trusted"], false);
    let inside = json(&workspace, &["plugin", "inspect", NAME]);
    assert_eq!(inside["components"][0]["name"], "invert");
    assert!(
        inside["components"][0]["config_schema"]["properties"]["amount"].is_object(),
        "{inside}"
    );
    let transforms = json(&workspace, &["transforms"]);
    let invert = transforms
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == "invert");
    assert!(
        invert.unwrap()["source"]
            .as_str()
            .unwrap()
            .ends_with(LIBRARY),
        "{transforms}"
    );
    let output = run(&workspace, &EMBED);
    assert!(output.status.success(), "{}", stderr(&output));
    let looked = json(&workspace, &["plugin", "path"]);
    assert_eq!(looked[0]["found"], MANIFEST);
}

#[test]
fn listing_runs_no_plugin_and_a_crash_while_looking_inside_is_a_message() {
    let Some(workspace) = workspace() else { return };
    let source = workspace.path("crash.c");
    fs::write(
        &source,
        "#include <stdlib.h>\n__attribute__((constructor)) static void crash(void) { abort(); }\n",
    )
    .unwrap();
    let library = workspace.path("plugins").join(LIBRARY);
    fs::remove_file(&library).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    assert!(compiler.arg(&source).status().unwrap().success());
    let manifest = workspace.path("plugins").join(MANIFEST);
    let text = fs::read_to_string(&manifest).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("sha256"));
    fs::write(&manifest, lines.collect::<Vec<_>>().join("\n")).unwrap();
    for command in [&["plugin", "list"][..], &["transforms"], &["doctor"]] {
        let output = run(&workspace, command);
        assert!(output.status.success(), "{command:?}: {}", stderr(&output));
    }
    let output = run(&workspace, &["plugin", "inspect", NAME]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("it crashed as it was loaded"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_library_that_is_not_the_trusted_one_is_refused() {
    let Some(workspace) = workspace() else { return };
    workspace.small_run();
    let library = workspace.path("plugins").join(LIBRARY);
    let with_lock = |workspace: &Workspace| {
        let mut command = workspace.command(EMBED);
        command.args(["--plugin-path", "plugins"]);
        command.env("DRIFTLINE__PLUGINS__REQUIRE_LOCK", "true");
        command.output().unwrap()
    };
    let output = with_lock(&workspace);
    assert!(
        stderr(&output).contains("it is not trusted, and plugins.require_lock is set"),
        "{}",
        stderr(&output)
    );
    let trusted = json(&workspace, &["plugin", "trust", NAME]);
    assert_eq!(trusted["name"], NAME);
    assert_eq!(json(&workspace, &["plugin", "list"])[0]["trusted"], true);
    let output = with_lock(&workspace);
    assert!(output.status.success(), "{}", stderr(&output));
    fs::remove_file(workspace.path("rows.parquet")).unwrap();
    // One byte more, behind everything that is loaded.
    let mut bytes = fs::read(&library).unwrap();
    bytes.push(0);
    fs::write(&library, bytes).unwrap();
    refused(&workspace, "it is not the library that its manifest names");
    let manifest = workspace.path("plugins").join(MANIFEST);
    let text = fs::read_to_string(&manifest).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("sha256"));
    fs::write(&manifest, lines.collect::<Vec<_>>().join("\n")).unwrap();
    refused(&workspace, "it is not the library that was trusted");
    let listed = json(&workspace, &["plugin", "list"]);
    assert_eq!(listed[0]["trusted"], false);
    assert!(
        listed[0]["reason"].as_str().unwrap().contains("trusted"),
        "{listed}"
    );
}

#[test]
fn what_others_can_change_is_refused() {
    let Some(workspace) = workspace() else { return };
    workspace.small_run();
    let folder = workspace.path("plugins");
    let library = folder.join(LIBRARY);
    for (path, mode, safe) in [(&folder, 0o777, 0o755), (&library, 0o666, 0o644)] {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        refused(&workspace, "someone else could change this plugin");
        fs::set_permissions(path, Permissions::from_mode(safe)).unwrap();
    }
    let output = run(&workspace, &EMBED);
    assert!(output.status.success(), "{}", stderr(&output));
    fs::remove_file(workspace.path("rows.parquet")).unwrap();
    fs::rename(&library, folder.join("real.so")).unwrap();
    symlink("real.so", &library).unwrap();
    refused(&workspace, "it is a symbolic link");
}

#[test]
fn of_two_plugins_with_one_name_the_first_is_taken_and_both_are_named() {
    let Some(workspace) = workspace() else { return };
    fs::copy(
        workspace.path("plugins").join(MANIFEST),
        workspace.path("plugins").join("z-again.plugin.toml"),
    )
    .unwrap();
    let output = run(&workspace, &["plugin", "list", "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let text = stderr(&output);
    assert!(
        text.contains("z-again.plugin.toml is left out") && text.contains(MANIFEST),
        "{text}"
    );
    let output = run(&workspace, &["plugin", "trust", "no-such"]);
    assert!(
        stderr(&output).contains("there is no plugin named `no-such`"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_run_publishes_into_the_sink_of_a_plugin_and_again_adds_nothing() {
    let files = ["libdriftline_json_lines.so", "json-lines.plugin.toml"];
    let Some(workspace) = workspace_with(files) else {
        return;
    };
    workspace.small_run();
    let arguments = [
        "run",
        "--sink",
        "json_lines",
        "--set",
        "sink.options={folder=\"rows\"}",
        "--now",
        common::NOW,
        "--quiet",
    ];
    let first = json(&workspace, &arguments);
    assert_eq!(first["sink"]["name"], "json_lines");
    assert_eq!(first["sink"]["location"], "rows");
    let published = first["sink"]["rows_published"].as_u64().unwrap();
    let folder = workspace.path("rows/image_monitoring");
    let model = fs::read_dir(folder)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let lines = |file: &str| {
        let text = fs::read_to_string(model.join(file)).unwrap();
        let rows = text.lines().map(|line| serde_json::from_str(line).unwrap());
        rows.collect::<Vec<Value>>()
    };
    assert_eq!(lines("baseline.jsonl").len(), 300);
    let events = lines("events.jsonl");
    assert_eq!(events.len() as u64, published);
    assert_eq!(events[0]["embeddings"].as_array().unwrap().len(), 128);
    assert!(events[0]["event_id"].is_string());
    // Labels that come later go to a file of their own, once.
    let labels: Vec<String> = [&events[0], &events[1]]
        .map(|event| format!("{},unlike\n", event["event_id"].as_str().unwrap()))
        .to_vec();
    fs::write(
        workspace.path("labels.csv"),
        format!("event_id,target\n{}", labels.concat()),
    )
    .unwrap();
    for new in [2, 0] {
        let arguments = [
            "labels",
            "publish",
            "labels.csv",
            "--sink",
            "json_lines",
            "--set",
            "sink.options={folder=\"rows\"}",
        ];
        let published = json(&workspace, &arguments);
        assert_eq!(
            (&published["labels"], &published["changed"]),
            (&Value::from(2), &Value::from(new))
        );
        assert_eq!(lines("labels.jsonl").len(), 2);
    }
    // The sink remembers every row, also for a run that starts again from nothing.
    fs::remove_dir_all(workspace.path("driftline-store")).unwrap();
    let again = json(&workspace, &arguments);
    assert_eq!(again["sink"]["rows_published"], 0);
    assert_eq!(again["sink"]["rows_duplicate"], published);
    assert_eq!(lines("events.jsonl").len() as u64, published);
    let output = run(
        &workspace,
        &[
            "run",
            "--sink",
            "json_lines",
            "--set",
            "sink.options={colour=1}",
        ],
    );
    assert!(stderr(&output).contains("colour"), "{}", stderr(&output));
    let sinks = json(&workspace, &["sinks"]);
    assert!(sinks.to_string().contains("json_lines"), "{sinks}");
}
