//! `cargo xtask memory`: the tests of the interface, of the host and of plugins under Valgrind, and with other layouts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::CargoProfile;
use crate::plugin::{self, Place};

/// Packages whose tests cross the boundary, and the tests that need plugins.
const TESTS: [&[&str]; 4] = [
    &["--package", "driftline-abi"],
    &["--package", "driftline-plugin-sdk", "--tests"],
    &["--package", "driftline-plugin-host"],
    &[
        "--package",
        "driftline",
        "--test",
        "it",
        "--",
        "plugins::",
        "misbehaving::",
    ],
];

/// Seeds of the layouts of structs whose layout is Rust's to choose.
const SEEDS: [u32; 3] = [1, 7, 2026];

/// Plugins that the tests load.
const PLUGINS: [&str; 2] = ["template-c", "template-rust"];

/// Runs them; the first finding ends it.
pub(crate) fn run() -> Result<()> {
    let workspace = &crate::cargo::workspace()?;
    let plugins = crate::cargo::target_folder(workspace).join("test-plugins");
    let install = |name: &str, into: &Path| {
        let built = Place::of(workspace, name).build(workspace, name, CargoProfile::Dev, None)?;
        plugin::install(workspace, name, &built, into)
    };
    for name in PLUGINS {
        install(name, &plugins)?;
    }
    let misbehaving = plugins.with_file_name("test-plugins-misbehaving");
    install("misbehaving", &misbehaving)?;
    println!("==> Valgrind");
    for arguments in TESTS {
        test(workspace, &plugins, arguments, |cargo| {
            // Proxies of the C library are not Rust's to free, so that only what is lost for good counts.
            let runner = "valgrind --quiet --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
                          --show-leak-kinds=definite --fair-sched=yes";
            cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER", runner);
        })?;
    }
    for seed in SEEDS {
        println!("==> layout seed {seed}");
        for arguments in &TESTS[..3] {
            test(workspace, &plugins, arguments, |cargo| {
                cargo
                    // The flag is not stable; this lets the stable compiler take it.
                    .env("RUSTC_BOOTSTRAP", "1")
                    .env(
                        "RUSTFLAGS",
                        format!("-Zrandomize-layout -Zlayout-seed={seed}"),
                    )
                    .arg("--target-dir")
                    .arg(crate::cargo::target_folder(workspace).join("layout"));
            })?;
        }
    }
    println!("No finding.");
    Ok(())
}

fn test(
    workspace: &Path,
    plugins: &PathBuf,
    arguments: &[&str],
    describe: impl FnOnce(&mut Command),
) -> Result<()> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .arg("test")
        .args(arguments)
        .env("DRIFTLINE_PLUGIN_PATH", plugins)
        .env(
            "DRIFTLINE_TEST_MISBEHAVING",
            plugins.with_file_name("test-plugins-misbehaving"),
        )
        .current_dir(workspace);
    describe(&mut cargo);
    let status = cargo.status().context("cargo could not be started")?;
    ensure!(
        status.success(),
        "`cargo test {}` failed",
        arguments.join(" ")
    );
    Ok(())
}
