//! `driftline backends` tells the truth with none, one or all of the runtimes, and what cannot be used is refused with
//! the remedy.
//!
//! The libraries are those of the environment: `ORT_DYLIB_PATH`, `LIBTORCH` and `DRIFTLINE_PLUGIN_PATH`.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{NOW, Workspace, stderr};
use serde_json::Value;

const RUNTIMES: [&str; 3] = ["ORT_DYLIB_PATH", "LIBTORCH", "DRIFTLINE_PLUGIN_PATH"];

/// A command without runtimes but those of `environment`.
fn command(workspace: &Workspace, arguments: &[&str], environment: &[(&str, OsString)]) -> Command {
    let mut command = workspace.command(arguments);
    for variable in RUNTIMES {
        command.env_remove(variable);
    }
    command
        .env("HOME", workspace.path("home"))
        .env_remove("XDG_DATA_HOME")
        .envs(environment.iter().cloned());
    command
}

/// The entry of `name` in `backends --json`.
fn backend(workspace: &Workspace, name: &str, environment: &[(&str, OsString)]) -> Value {
    let output = command(workspace, &["backends", "--json"], environment)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let entry = found
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == name);
    entry
        .unwrap_or_else(|| panic!("no {name}: {found}"))
        .clone()
}

fn refused(workspace: &Workspace, arguments: &[&str], environment: &[(&str, OsString)]) -> String {
    let output = command(workspace, arguments, environment).output().unwrap();
    assert!(!output.status.success(), "{arguments:?} succeeded");
    stderr(&output)
}

/// The variable where it is set, or a line that says what is not tested.
fn given(variable: &str) -> Option<OsString> {
    let value = std::env::var_os(variable);
    if value.is_none() {
        println!("skipped: {variable} is not set");
    }
    value
}

const EMBED: [&str; 5] = ["embed", "sample#test", "-o", "rows.parquet", "--quiet"];

#[test]
fn without_runtimes_candle_works_and_the_others_say_what_they_need() {
    let workspace = Workspace::new();
    let candle = backend(&workspace, "candle", &[]);
    assert_eq!(candle["available"], true);
    assert_eq!(candle["devices"], serde_json::json!(["cpu"]));
    for (name, remedy) in [
        ("onnx", "runtime install onnx"),
        ("tch", "cargo xtask plugin tch"),
    ] {
        let entry = backend(&workspace, name, &[]);
        assert_eq!(entry["available"], false, "{entry}");
        assert!(
            entry["reason"].as_str().unwrap().contains(remedy),
            "{entry}"
        );
        assert_eq!(entry["devices"], serde_json::json!([]), "{entry}");
        let text = refused(
            &workspace,
            &[&EMBED[..], &["--backend", name]].concat(),
            &[],
        );
        assert!(text.contains(remedy), "{text}");
        let text = refused(&workspace, &["conformance", "--backend", name], &[]);
        assert!(text.contains("not conformant"), "{text}");
    }
}

#[test]
fn with_libonnxruntime_onnx_is_there_and_tch_is_not() {
    let Some(library) = given("ORT_DYLIB_PATH") else {
        return;
    };
    let workspace = Workspace::new();
    let environment = [("ORT_DYLIB_PATH", library)];
    let onnx = backend(&workspace, "onnx", &environment);
    assert_eq!(onnx["available"], true, "{onnx}");
    assert!(
        onnx["engine"]
            .as_str()
            .unwrap()
            .starts_with("onnxruntime 1."),
        "{onnx}"
    );
    assert_eq!(backend(&workspace, "tch", &environment)["available"], false);
}

#[test]
fn with_plugin_and_libtorch_tch_is_there_and_without_libtorch_it_is_not() {
    let (Some(libtorch), Some(plugins)) = (given("LIBTORCH"), given("DRIFTLINE_PLUGIN_PATH"))
    else {
        return;
    };
    let workspace = Workspace::new();
    let plugin = ("DRIFTLINE_PLUGIN_PATH", plugins);
    let tch = backend(
        &workspace,
        "tch",
        &[plugin.clone(), ("LIBTORCH", libtorch.clone())],
    );
    assert_eq!(tch["available"], true, "{tch}");
    assert!(
        tch["engine"].as_str().unwrap().starts_with("libtorch 2.11"),
        "{tch}"
    );
    assert!(
        tch["source"]
            .as_str()
            .unwrap()
            .ends_with("libdriftline_tch.so"),
        "{tch}"
    );
    let environment = [plugin.clone(), ("LIBTORCH", libtorch.clone())];
    let output = command(
        &workspace,
        &["plugin", "inspect", "driftline-tch", "--json"],
        &environment,
    )
    .output()
    .unwrap();
    let inside: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    assert_eq!(inside["components"][0]["kind"], "backend");
    // The plugin alone.
    let tch = backend(&workspace, "tch", std::slice::from_ref(&plugin));
    assert_eq!(tch["available"], false, "{tch}");
    assert!(
        tch["reason"]
            .as_str()
            .unwrap()
            .contains("runtime install tch"),
        "{tch}"
    );
    // A libtorch of another version, as its own file says.
    let old = workspace.path("libtorch");
    fs::create_dir_all(old.join("lib")).unwrap();
    let library = PathBuf::from(libtorch).join("lib/libc10.so");
    fs::copy(library, old.join("lib/libtorch_cpu.so")).unwrap();
    fs::write(old.join("build-version"), "2.4.0+cpu\n").unwrap();
    let environment = [plugin, ("LIBTORCH", old.into_os_string())];
    let text = refused(
        &workspace,
        &[&EMBED[..], &["--backend", "tch"]].concat(),
        &environment,
    );
    assert!(
        text.contains("its version is 2.4.0, and the backend is built for 2.11.0"),
        "{text}"
    );
}

#[test]
fn a_device_that_is_not_there_is_refused_with_the_remedy() {
    let workspace = Workspace::new();
    let mut backends = vec!["candle"];
    let mut environment = Vec::new();
    for variable in RUNTIMES {
        environment.extend(given(variable).map(|value| (variable, value)));
    }
    if environment.len() == RUNTIMES.len() {
        backends.extend(["onnx", "tch"]);
    }
    for name in backends {
        if backend(&workspace, name, &environment)["devices"]
            .as_array()
            .unwrap()
            .len()
            > 1
        {
            println!("skipped: {name} has a CUDA device here");
            continue;
        }
        let arguments = [&EMBED[..], &["--backend", name, "--device", "cuda"]].concat();
        let text = refused(&workspace, &arguments, &environment);
        assert!(text.contains("--device cpu"), "{name}: {text}");
    }
    let text = refused(
        &workspace,
        &[&EMBED[..], &["--device", "gpu"]].concat(),
        &[],
    );
    assert!(text.contains("`cpu`, `cuda` or `cuda:N`"), "{text}");
}

#[test]
fn a_plugin_that_is_garbage_is_named_and_hurts_nobody() {
    // Not below the folder for temporary files, which everyone may write to.
    let workspace = Workspace::within(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let folder = workspace.path("plugins");
    fs::create_dir_all(&folder).unwrap();
    let manifest = |abi: &str, sha256: &str| {
        format!(
            "manifest_version = 1\n[plugin]\nname = \"bad\"\nversion = \"1.0.0\"\nabi = \"{abi}\"\n\
             [library.linux_amd64]\npath = \"libbad.so\"\n{sha256}\n\
             [[component]]\nkind = \"embedding\"\nname = \"bad\"\n"
        )
    };
    let path = folder.join("bad.plugin.toml");
    let with = |arguments: &[&str]| {
        let flags = ["--plugin-path", "plugins"];
        command(&workspace, &[arguments, &flags].concat(), &[])
            .output()
            .unwrap()
    };
    let embed = [&EMBED[..], &["--backend", "bad"]].concat();

    fs::write(&path, manifest("2.0", "")).unwrap();
    let output = with(&["backends"]);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("the plugin is for ABI 2.0"),
        "{}",
        stderr(&output)
    );

    fs::write(&path, "what = is this").unwrap();
    assert!(stderr(&with(&["backends"])).contains("bad.plugin.toml"));

    fs::write(&path, manifest("1.0", "")).unwrap();
    let text = stderr(&with(&embed));
    assert!(text.contains("libbad.so"), "{text}");

    fs::write(folder.join("libbad.so"), "garbage").unwrap();
    let text = stderr(&with(&embed));
    assert!(text.contains("it is not a library"), "{text}");

    // A real library that is no plugin.
    fs::copy(std::env::current_exe().unwrap(), folder.join("libbad.so")).unwrap();
    let text = stderr(&with(&embed));
    assert!(text.contains("bad"), "{text}");

    fs::write(&path, manifest("1.0", "sha256 = \"00\"")).unwrap();
    let text = stderr(&with(&embed));
    assert!(
        text.contains("not the library that its manifest names"),
        "{text}"
    );
    // Nobody else is hurt by it.
    assert!(with(&["backends"]).status.success());
}

#[test]
fn what_slows_candle_down_is_said_once() {
    let workspace = Workspace::new();
    let cores = std::thread::available_parallelism().unwrap().get();
    let many = (2 * cores).to_string();
    for (instructions, threads, note) in [
        ("portable", "1", "several times slower"),
        ("portable", &many, "take turns, which is slower"),
    ] {
        let arguments = [
            "embed",
            "sample#test",
            "-o",
            "rows.parquet",
            "--threads",
            threads,
        ];
        let output = command(&workspace, &arguments, &[])
            .env("DRIFTLINE_CANDLE_INSTRUCTIONS", instructions)
            .output()
            .unwrap();
        let text = stderr(&output);
        assert!(output.status.success(), "{text}");
        assert_eq!(text.matches(note).count(), 1, "{text}");
    }
    let unknown = [("DRIFTLINE_CANDLE_INSTRUCTIONS", OsString::from("sse9"))];
    let message = refused(&workspace, &EMBED, &unknown);
    for part in [
        "no instruction set `sse9`",
        "DRIFTLINE_CANDLE_INSTRUCTIONS",
        "portable",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn candle_says_whether_its_own_operations_compute() {
    let workspace = Workspace::new();
    workspace.small_run();
    let run = |store: &str, option: &[&str]| {
        let arguments = ["run", "--now", NOW, "--store", store];
        let summary = workspace.json(&[&arguments[..], option].concat());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (
            text(&summary["backend"]["engine"]),
            text(&summary["run_id"]),
        )
    };
    let fused = run("fused", &[]);
    let layers = run("layers", &["--set", "backend.options.fused=false"]);
    assert!(fused.0.contains(" + driftline kernels "), "{}", fused.0);
    assert!(fused.0.starts_with(&layers.0), "{}", layers.0);
    assert!(!layers.0.contains('+'), "{}", layers.0);
    assert_ne!(fused.1, layers.1, "rows of two engines have one id");
    let listed = backend(&workspace, "candle", &[]);
    assert_eq!(listed["engine"], fused.0);
    let unknown = ["run", "--set", "backend.options.fuse=false"];
    let message = refused(&workspace, &unknown, &[]);
    assert!(message.contains("no option `fuse`"), "{message}");
}

#[test]
fn installing_a_runtime_runs_no_python_of_the_current_folder() {
    let workspace = Workspace::new();
    let touched = workspace.path("touched");
    let code = format!(
        "open({:?}, 'w')\nraise SystemExit(3)\n",
        touched.to_str().unwrap()
    );
    // `python3 -m pip` takes a folder of that name here, and what pip imports, before its own.
    for name in [
        "pip/__main__.py",
        "pip/__init__.py",
        "runpy.py",
        "sitecustomize.py",
    ] {
        let path = workspace.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, &code).unwrap();
    }
    let nowhere = [
        ("PIP_INDEX_URL", OsString::from("http://127.0.0.1:9/")),
        ("PIP_RETRIES", OsString::from("0")),
        ("PYTHONPATH", workspace.path("").into_os_string()),
    ];
    let message = refused(&workspace, &["runtime", "install", "onnx"], &nowhere);
    assert!(!touched.exists(), "{message}");
    assert!(message.contains("pip failed"), "{message}");
}
