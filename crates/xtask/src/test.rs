//! `cargo xtask test`: format, lints, documentation, tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Result, anyhow};

use crate::cargo::{self, CargoProfile};
use crate::plugin::{self, Place};
use crate::timing::Times;
use crate::{browser, modules, python};

/// How much is tested.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also lints with every feature, and all seeds of the long tests of faults
    #[arg(long)]
    full: bool,
}

/// The variable that has the long tests take all their seeds.
const FULL: &str = "DRIFTLINE_TEST_FULL";

/// The plugins of this repository.
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

/// The targets that every test needs, built once.
const ALL_TESTS: [&str; 5] = ["--workspace", "--lib", "--bins", "--tests", "--examples"];

const DENY_WARNINGS: [&str; 3] = ["--", "-D", "warnings"];

/// Lints of what is compiled in no other step: parts without their default features.
const WITHOUT_FEATURES: [&str; 2] = ["driftline", "driftline-stats"];

/// Tools that tests find by environment variables.
struct Tools {
    python: PathBuf,
    clients: PathBuf,
    chromium: PathBuf,
    axe: PathBuf,
}

impl Tools {
    fn install(workspace: &Path) -> Result<Self> {
        Ok(Self {
            python: python::readers(workspace)?,
            clients: python::clients(workspace)?,
            chromium: browser::chromium()?,
            axe: browser::axe(workspace)?,
        })
    }
}

/// Sets up Python, the browser, libonnxruntime, libtorch and the plugins, runs every step in order and stops at the first that
/// fails.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = &cargo::workspace()?;
    let target = cargo::target_folder(workspace);
    let mut times = Times::new(&target)?;
    let driftline = &CargoProfile::Dev.folder(workspace).join("driftline");
    thread::scope(|scope| {
        // Downloads run while the compiler works.
        let tools = scope.spawn(|| Tools::install(workspace));
        lint(workspace, arguments, &mut times)?;
        let cargo = || cargo::command(workspace, workspace);
        times.step("build", || cargo::run(cargo().arg("build").args(ALL_TESTS)))?;
        let runtimes = scope.spawn(|| {
            anyhow::Ok((
                cargo::install_runtime(driftline, "onnx")?,
                cargo::install_runtime(driftline, "tch")?,
            ))
        });
        times.step("documentation", || {
            document(cargo().args(["doc", "--workspace"]))
        })?;
        let died = |_| anyhow!("a thread of the set-up panicked");
        let tools = times.step("Python, browser", || tools.join().map_err(died)?)?;
        let (onnxruntime, libtorch) = times.step("libonnxruntime, libtorch", || {
            runtimes.join().map_err(died)?
        })?;
        let plugins = &target.join("test-plugins");
        let misbehaving = &target.join("test-plugins-misbehaving");
        times.step("plugins", || {
            for name in PLUGINS {
                let into = match name {
                    MISBEHAVING => misbehaving,
                    _ => plugins,
                };
                let built = match Place::of(workspace, name) {
                    // Built with the workspace.
                    Place::Member => CargoProfile::Dev.folder(workspace),
                    place => place.build(workspace, name, CargoProfile::Dev, Some(&libtorch))?,
                };
                plugin::install(workspace, name, &built, into)?;
            }
            anyhow::Ok(())
        })?;
        let full = arguments.full;
        let test = |folder: &Path, arguments: &[&str]| {
            let mut cargo = cargo::command(workspace, folder);
            cargo
                .arg("test")
                .args(arguments)
                .env("DRIFTLINE_PYTHON", &tools.python)
                .env("DRIFTLINE_FIDDLER_CLIENTS", &tools.clients)
                .env("DRIFTLINE_CHROMIUM", &tools.chromium)
                .env("DRIFTLINE_AXE", &tools.axe)
                .env("DRIFTLINE_PLUGIN_PATH", plugins)
                .env("DRIFTLINE_TEST_MISBEHAVING", misbehaving)
                .env("ORT_DYLIB_PATH", &onnxruntime)
                .env("LIBTORCH", &libtorch)
                // None of these may be missing silently.
                .env("DRIFTLINE_REQUIRE_BACKENDS", "candle,onnx,tch");
            if full {
                cargo.env(FULL, "1");
            }
            cargo
        };
        let mut all = test(workspace, &ALL_TESTS);
        // All failures at once, instead of one a run.
        all.arg("--no-fail-fast");
        times.of_tests(&mut all)?;
        times.step("tests", || cargo::run(&mut all))?;
        times.step("documentation's examples", || {
            cargo::run(&mut test(workspace, &["--workspace", "--doc"]))
        })?;
        for name in PLUGINS {
            if Place::of(workspace, name) != Place::Alone {
                continue;
            }
            let folder = &workspace.join("plugins").join(name);
            times.step(&format!("plugin {name}"), || {
                let cargo = || {
                    let mut cargo = cargo::command(workspace, folder);
                    cargo.env("LIBTORCH", &libtorch);
                    cargo
                };
                cargo::run(cargo().args(["fmt", "--check"]))?;
                cargo::run(
                    cargo()
                        .args(["clippy", "--all-targets"])
                        .args(DENY_WARNINGS),
                )?;
                document(cargo().arg("doc"))?;
                // The tests of the tch plugin are linked to libtorch; driftline itself finds it without the loader's help.
                let mut test = test(folder, &[]);
                test.env("LD_LIBRARY_PATH", libtorch.join("lib"));
                cargo::run(&mut test)
            })?;
        }
        times.step("conformance", || {
            let mut conformance = Command::new(driftline);
            conformance.args(["conformance", "--plugin-path"]);
            cargo::run(conformance.arg(plugins))
        })?;
        anyhow::Ok(())
    })?;
    print!("{}", times.summary()?);
    println!("All tests passed.");
    Ok(())
}

/// Format, circles among modules, and lints of the workspace.
fn lint(workspace: &Path, arguments: &Arguments, times: &mut Times) -> Result<()> {
    let cargo = || cargo::command(workspace, workspace);
    times.step("format", || {
        cargo::run(cargo().args(["fmt", "--all", "--check"]))
    })?;
    times.step("modules", || modules::check(workspace))?;
    let clippy = |flags: &[&str]| cargo::run(cargo().arg("clippy").args(flags).args(DENY_WARNINGS));
    times.step("lints", || clippy(&["--workspace", "--all-targets"]))?;
    for package in WITHOUT_FEATURES {
        let name = format!("lints of {package} without features");
        times.step(&name, || clippy(&["-p", package, "--no-default-features"]))?;
    }
    if arguments.full {
        times.step("lints with all features", || {
            clippy(&["--workspace", "--all-targets", "--all-features"])
        })?;
    }
    Ok(())
}

/// Runs `cargo doc` without dependencies, and with broken links denied.
fn document(cargo: &mut Command) -> Result<()> {
    cargo::run(cargo.arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}
