//! `cargo xtask gpu-bundle`: what a machine with a GPU needs to check and measure the tch backend, in one folder.
//!
//! The command (the sample model is in it), the tch plugin, the program that measures the plugin's backend, and the script that
//! runs them beside PyTorch and makes the full-width model from a seed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo::{self, CargoProfile};
use crate::dist::strip;
use crate::plugin::{self, Place};

/// The folder must fit where a machine takes no more.
const MOST_BYTES: u64 = 50_000_000;

/// Where it goes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder; what is in it is written over [default: `gpu-bundle` in the target folder]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// Builds and fills the folder; says how large it is.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = &cargo::workspace()?;
    let into = match &arguments.into {
        Some(folder) => folder.clone(),
        None => cargo::target_folder(workspace).join("gpu-bundle"),
    };
    let driftline = cargo::driftline(workspace)?;
    let libtorch = match std::env::var_os("LIBTORCH") {
        Some(folder) => PathBuf::from(folder),
        None => cargo::install_runtime(&driftline, "tch")?,
    };
    let plugins = into.join("plugins");
    std::fs::create_dir_all(&plugins)
        .with_context(|| format!("cannot make {}", plugins.display()))?;
    let release = Place::of(workspace, "tch").build(
        workspace,
        "tch",
        CargoProfile::Release,
        Some(&libtorch),
    )?;
    plugin::install(workspace, "tch", &release, &plugins)?;
    let folder = workspace.join("plugins/tch");
    let mut cargo = cargo::command(workspace, &folder);
    cargo
        .args(["build", "--locked", "--example", "measure"])
        .args(CargoProfile::Release.flags())
        .env("LIBTORCH", &libtorch);
    cargo::run(&mut cargo)?;
    let command = into.join("driftline");
    strip(&driftline, &command)?;
    // A third of its size; the script unpacks it.
    cargo::run(Command::new("gzip").arg("--force").arg(&command))?;
    strip(&release.join("examples/measure"), &into.join("measure"))?;
    let script = workspace.join("crates/xtask/gpu/measure.py");
    std::fs::copy(&script, into.join("measure.py"))
        .with_context(|| format!("cannot copy {}", script.display()))?;
    let bytes = size(&into)?;
    println!(
        "{}: {:.1} MB; `python3 measure.py` in it checks and measures",
        into.display(),
        bytes as f64 / 1e6
    );
    ensure!(
        bytes <= MOST_BYTES,
        "the bundle has {bytes} bytes, more than {MOST_BYTES}"
    );
    Ok(())
}

/// Bytes of all files in a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => size(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}
