//! `cargo xtask fuzz`: what driftline reads and did not write itself, against a fuzzer.
//!
//! The targets are those of `crates/fuzz`, with cargo-fuzz and libFuzzer. They run on the stable compiler, which has no
//! sanitizers; a panic, a hang and memory past [`MEMORY`] are findings.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::cargo;

/// MiB that a target may take.
const MEMORY: u32 = 2048;
/// Seconds that one input may take.
const PATIENCE: u32 = 30;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Time for each target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// One target instead of all.
    target: Option<String>,
}

/// Runs them; a finding ends it, and its input is kept in the target folder.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = &cargo::workspace()?;
    let folder = workspace.join("crates").join("fuzz");
    let known = targets(&folder)?;
    let chosen = match &arguments.target {
        Some(target) => vec![target.clone()],
        None => known.clone(),
    };
    for target in &chosen {
        ensure!(
            known.contains(target),
            "there is no target `{target}`; there are: {}",
            known.join(", ")
        );
    }
    let installed = cargo_fuzz(workspace, &folder, "--version", &[]).output();
    ensure!(
        installed.is_ok_and(|output| output.status.success()),
        "cargo-fuzz is missing: `cargo install --locked cargo-fuzz`"
    );
    let kept = cargo::target_folder(workspace).join("fuzz");
    for target in &chosen {
        println!("==> {target}");
        let grown = kept.join("corpus").join(target);
        let found = kept.join("findings").join(target);
        for folder in [&grown, &found] {
            std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let mut run = cargo_fuzz(workspace, &folder, "run", &["--sanitizer", "none"]);
        // New inputs go to the first folder, the second is what every run begins from.
        run.arg(target)
            .arg(grown)
            .arg(folder.join("corpus").join(target))
            .arg("--")
            .arg(format!("-max_total_time={}", arguments.seconds))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-timeout={PATIENCE}"))
            .arg(format!("-artifact_prefix={}/", found.display()));
        cargo::run(&mut run)?;
    }
    Ok(())
}

/// The names of the targets, sorted.
fn targets(folder: &Path) -> Result<Vec<String>> {
    let folder = folder.join("fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if let Some(name) = path.file_stem() {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn cargo_fuzz(workspace: &Path, folder: &Path, command: &str, arguments: &[&str]) -> Command {
    let mut cargo = cargo::command(workspace, folder);
    cargo.args(["fuzz", command]);
    if command != "--version" {
        cargo.arg("--fuzz-dir").arg(folder);
    }
    cargo.args(arguments);
    cargo
}
