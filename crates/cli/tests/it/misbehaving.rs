//! Plugins that crash, hang or lie: driftline says which and why, and goes on without them where they are not asked for.
//!
//! `DRIFTLINE_TEST_MISBEHAVING` names the folder with the plugin `misbehaving`.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::common::{Workspace, stderr};

const LIBRARY: &str = "libdriftline_misbehaving.so";
const MANIFEST: &str = "misbehaving.plugin.toml";

fn workspace() -> Option<Workspace> {
    let source = std::env::var_os("DRIFTLINE_TEST_MISBEHAVING").map(PathBuf::from);
    let Some(source) = source.filter(|folder| folder.join(LIBRARY).is_file()) else {
        println!("skipped: DRIFTLINE_TEST_MISBEHAVING names no folder with the plugin misbehaving");
        return None;
    };
    let workspace = Workspace::within(Path::new(env!("CARGO_TARGET_TMPDIR")));
    fs::create_dir(workspace.path("plugins")).unwrap();
    for file in [LIBRARY, MANIFEST] {
        fs::copy(source.join(file), workspace.path("plugins").join(file)).unwrap();
    }
    workspace.small_run();
    Some(workspace)
}

fn run(workspace: &Workspace, how: &str, arguments: &[&str]) -> Output {
    let mut command = workspace.command(arguments);
    command
        .args(["--plugin-path", "plugins"])
        .env("DRIFTLINE_MISBEHAVE", how);
    command.output().unwrap()
}

fn embed(transform: &str) -> [&str; 7] {
    [
        "embed",
        "test",
        "-o",
        "rows.parquet",
        "--quiet",
        "--transform",
        transform,
    ]
}

/// It fails with a message that holds every one of `parts` and names the library, and is no crash.
fn refused(output: &Output, how: &str, parts: &[&str]) {
    let text = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{how}: {text}");
    for part in parts {
        assert!(text.contains(part), "{how}: no `{part}` in: {text}");
    }
}

#[test]
fn what_goes_wrong_while_loading_is_a_message_and_not_a_crash() {
    let Some(workspace) = workspace() else { return };
    for (how, expected) in [
        ("crash", "it crashed as it was loaded"),
        ("null", "it is Tuesday"),
        ("small", "has 40 bytes"),
        ("panic_abort", "panic = \"unwind\""),
        ("bad_utf8", "its name is no text"),
        ("other_name", "its manifest says"),
        (
            "many_components",
            "it says that it has 4294967295 components",
        ),
    ] {
        let output = run(&workspace, how, &embed("misbehaving(well)"));
        refused(&output, how, &[expected, LIBRARY]);
        assert!(!workspace.path("rows.parquet").exists(), "{how}");
        // Where it is not asked for, nothing of it is seen.
        let output = run(&workspace, how, &embed("brightness(0.5)"));
        assert!(output.status.success(), "{how}: {}", stderr(&output));
        fs::remove_file(workspace.path("rows.parquet")).unwrap();
        let output = run(&workspace, how, &["plugin", "list"]);
        assert!(output.status.success(), "{how}: {}", stderr(&output));
    }
    let output = run(&workspace, "null_table", &embed("misbehaving(well)"));
    refused(&output, "null_table", &["its table is missing"]);
    let output = run(&workspace, "null_member", &embed("raw(well)"));
    refused(&output, "null_member", &["its table has no `apply`"]);
    let output = run(&workspace, "", &embed("misbehaving(well)"));
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_hang_and_a_crash_in_a_case_are_named_by_plugin_test() {
    let Some(workspace) = workspace() else { return };
    let manifest = format!("plugins/{MANIFEST}");
    let test = |how: &str, component: &str, config: &str| {
        let arguments = [
            "plugin",
            "test",
            &manifest,
            "--deadline",
            "2",
            "--component",
            component,
            "--config",
            config,
        ];
        run(&workspace, how, &arguments)
    };
    let output = test("hang", "raw", "{}");
    refused(
        &output,
        "hang",
        &["the case load did not end within 2 s", LIBRARY],
    );
    let output = test("", "raw", r#"{"how": "hang"}"#);
    refused(
        &output,
        "hang",
        &["the case transform::raw::expression_makes_the_same did not end"],
    );
    let output = test("", "raw", r#"{"how": "crash"}"#);
    refused(
        &output,
        "crash",
        &["it crashed in the case transform::raw::"],
    );
    let output = test("", "raw", r#"{"how": "unwritten"}"#);
    refused(&output, "unwritten", &["every_byte_is_written"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("is not written"), "{text}");
    let output = test("", "no-such", "{}");
    refused(&output, "no-such", &["it offers no `no-such`"]);
    // Sinks count, and this one forgets.
    let arguments = [
        "plugin",
        "test",
        &manifest,
        "--config",
        r#"{"how": "well"}"#,
    ];
    let output = run(&workspace, "", &arguments);
    refused(&output, "sink", &["again_is_a_duplicate"]);
}

#[test]
fn a_backend_that_panics_or_leaves_rows_out_is_an_error() {
    let Some(workspace) = workspace() else { return };
    for (how, expected) in [
        ("panic_in_open", "open panics on request"),
        ("zero_dim", "embeddings of 0 values"),
        ("panic_in_embed", "embed panics on request"),
        ("unwritten", "embedding of image 2 unwritten"),
        ("nan", "embedding of image 1 unwritten or not finite"),
    ] {
        let arguments = [
            "embed",
            "test",
            "-o",
            "rows.parquet",
            "--quiet",
            "--backend",
            "misbehaving",
        ];
        let output = run(&workspace, how, &arguments);
        refused(&output, how, &[expected, "misbehaving"]);
        assert!(!workspace.path("rows.parquet").exists(), "{how}");
    }
}

#[test]
fn files_that_are_no_plugin_are_refused_by_name() {
    let Some(workspace) = workspace() else { return };
    let library = workspace.path("plugins").join(LIBRARY);
    let manifest = workspace.path("plugins").join(MANIFEST);
    let whole = fs::read(&library).unwrap();
    let text = fs::read_to_string(&manifest).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("sha256"));
    let text = lines.collect::<Vec<_>>().join("\n");
    fs::write(&manifest, &text).unwrap();
    let mut other_machine = whole.clone();
    // e_machine: 183 is AArch64.
    other_machine[18] = 183;
    let source = workspace.path("plain.c");
    fs::write(&source, "int answer(void) { return 42; }\n").unwrap();
    let plain = workspace.path("plain.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&plain);
    assert!(compiler.arg(&source).status().unwrap().success());
    for (what, bytes, expected) in [
        ("text", b"no library\n".to_vec(), "it is not a library"),
        ("empty", Vec::new(), "it is not a library"),
        ("truncated", whole[..whole.len() / 2].to_vec(), LIBRARY),
        ("machine", other_machine, "it is for Aarch64"),
        ("plain", fs::read(&plain).unwrap(), "it exports 1: answer"),
    ] {
        fs::remove_file(&library).unwrap();
        fs::write(&library, bytes).unwrap();
        let output = run(&workspace, "", &embed("misbehaving(well)"));
        refused(&output, what, &[expected, LIBRARY]);
    }
    fs::write(&library, &whole).unwrap();
    for (what, from, to, expected) in [
        ("major", "abi = \"1.1\"", "abi = \"2.0\"", "for ABI 2.0"),
        (
            "key",
            "abi =",
            "colour = \"red\"\nabi =",
            "unknown field `colour`",
        ),
        (
            "version",
            "manifest_version = 1",
            "manifest_version = 9",
            "manifest_version is 9",
        ),
        (
            "path",
            "path = \"",
            "path = \"../plugins/",
            "leaves the manifest's folder",
        ),
    ] {
        fs::write(&manifest, text.replace(from, to)).unwrap();
        let output = run(&workspace, "", &embed("misbehaving(well)"));
        let message = stderr(&output);
        assert!(!output.status.success(), "{what}");
        assert!(
            message.contains(expected) && message.contains(MANIFEST),
            "{what}: {message}"
        );
        // A plugin that cannot be used stands in nobody's way.
        let output = run(&workspace, "", &embed("brightness(0.5)"));
        assert!(output.status.success(), "{what}: {}", stderr(&output));
    }
}
