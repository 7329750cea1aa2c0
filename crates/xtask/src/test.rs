//! `cargo xtask test`: format, lints, documentation, tests.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::plugin::Build;

/// The plugins of this repository; those in Rust are each a workspace of their own.
const PLUGINS: [&str; 6] = [
    MISBEHAVING,
    "corruptions",
    "json-lines",
    "tch",
    "template-c",
    "template-rust",
];

/// The one that must be found by nobody but its own tests.
const MISBEHAVING: &str = "misbehaving";

/// Steps for the workspace.
const WORKSPACE: [(&str, &[&str]); 5] = [
    ("fmt", &["--all", "--check"]),
    (
        "clippy",
        &["--workspace", "--all-targets", "--", "-D", "warnings"],
    ),
    // Without anything that looks at clusters.
    (
        "clippy",
        &[
            "-p",
            "driftline-stats",
            "--no-default-features",
            "--",
            "-D",
            "warnings",
        ],
    ),
    ("doc", &["--workspace", "--no-deps"]),
    ("test", &["--workspace"]),
];

/// Steps for a plugin.
const PLUGIN: [(&str, &[&str]); 4] = [
    ("fmt", &["--check"]),
    (
        "clippy",
        &["--release", "--all-targets", "--", "-D", "warnings"],
    ),
    ("doc", &["--release", "--no-deps"]),
    ("test", &["--release"]),
];

/// As `cargo test --workspace` builds it.
const BUILD: Build = Build {
    flags: &["--workspace"],
    profile: "debug",
};

/// Sets up Python, libonnxruntime, libtorch and the plugins, runs every step in order and stops at the first that
/// fails.
pub(crate) fn run() -> Result<()> {
    let workspace = &crate::workspace()?;
    let target = crate::plugin::target_folder(workspace);
    let python = crate::python::readers(workspace)?;
    let clients = crate::python::clients(workspace)?;
    let chromium = crate::browser::chromium()?;
    let axe = crate::browser::axe(workspace)?;
    println!("==> libonnxruntime, libtorch and the plugins");
    let driftline = crate::plugin::driftline(workspace, &BUILD)?;
    let onnxruntime = crate::plugin::install_runtime(&driftline, "onnx")?;
    let libtorch = crate::plugin::install_runtime(&driftline, "tch")?;
    let plugins = target.join("test-plugins");
    let misbehaving = target.join("test-plugins-misbehaving");
    for name in PLUGINS {
        let into = match name {
            MISBEHAVING => &misbehaving,
            _ => &plugins,
        };
        crate::plugin::install(workspace, name, into, Some(&libtorch))?;
    }
    type Environment<'a> = &'a [(&'a str, &'a Path)];
    let cargo = |step: &str, arguments: &[&str], folder: &Path, environment: Environment| {
        let command = format!("cargo {step} {}", arguments.join(" "));
        println!("==> {command} in {}", folder.display());
        let start = Instant::now();
        let status = Command::new(env!("CARGO"))
            .arg(step)
            .args(arguments)
            .env("CARGO_TARGET_DIR", &target)
            .env("RUSTDOCFLAGS", "-D warnings")
            .env("DRIFTLINE_PYTHON", &python)
            .env("DRIFTLINE_FIDDLER_CLIENTS", &clients)
            .env("DRIFTLINE_CHROMIUM", &chromium)
            .env("DRIFTLINE_AXE", &axe)
            .env("DRIFTLINE_PLUGIN_PATH", &plugins)
            .env("DRIFTLINE_TEST_MISBEHAVING", &misbehaving)
            .env("ORT_DYLIB_PATH", &onnxruntime)
            .env("LIBTORCH", &libtorch)
            // None of these may be missing silently.
            .env("DRIFTLINE_REQUIRE_BACKENDS", "candle,onnx,tch")
            .envs(environment.iter().copied())
            .current_dir(folder)
            .status()
            .with_context(|| format!("`{command}` could not be started"))?;
        ensure!(status.success(), "`{command}` failed");
        println!("{step}: {} s", start.elapsed().as_secs());
        anyhow::Ok(())
    };
    for (step, arguments) in WORKSPACE {
        cargo(step, arguments, workspace, &[])?;
    }
    // The tests of the tch plugin are linked to libtorch; driftline itself finds it without the loader's help.
    let libraries = libtorch.join("lib");
    let environment = [("LD_LIBRARY_PATH", libraries.as_path())];
    for name in PLUGINS {
        let folder = workspace.join("plugins").join(name);
        if !folder.join("Cargo.toml").is_file() {
            continue;
        }
        for (step, arguments) in PLUGIN {
            cargo(step, arguments, &folder, &environment)?;
        }
    }
    println!(
        "==> driftline conformance --plugin-path {}",
        plugins.display()
    );
    let status = Command::new(&driftline)
        .args(["conformance", "--plugin-path"])
        .arg(&plugins)
        .status()
        .with_context(|| format!("{} could not be started", driftline.display()))?;
    ensure!(status.success(), "`driftline conformance` failed");
    println!("All tests passed.");
    Ok(())
}
