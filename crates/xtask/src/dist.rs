//! `cargo xtask dist`: an archive of the command for machines without a compiler.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::cargo::{self, CargoProfile};

/// Where it goes.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The folder of the archive [default: `dist` in the target folder]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// Shells with completions, and what the files are called.
const SHELLS: [(&str, &str); 3] = [
    ("bash", "driftline.bash"),
    ("zsh", "_driftline"),
    ("fish", "driftline.fish"),
];

/// Files of the repository that go along.
const FILES: [&str; 4] = ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// Files of a crate that its licence asks to keep.
const NOTICES: [&str; 5] = ["license", "licence", "copying", "notice", "copyright"];

/// The command with all it can have.
const FEATURES: [&str; 3] = ["--package", "driftline-cli", "--all-features"];

/// Builds the archive; says how large it is.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = &cargo::workspace()?;
    let into = match &arguments.into {
        Some(folder) => folder.clone(),
        None => cargo::target_folder(workspace).join("dist"),
    };
    let mut cargo = cargo::command(workspace, workspace);
    cargo.args(["build", "--locked"]).args(FEATURES);
    cargo::run(cargo.args(CargoProfile::Release.flags()))?;
    let driftline = CargoProfile::Release.folder(workspace).join("driftline");
    let name = format!("driftline-{}-{}", env!("CARGO_PKG_VERSION"), cargo::host()?);
    let folder = into.join(&name);
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    for part in ["completions", "man"] {
        std::fs::create_dir_all(folder.join(part))
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    strip(&driftline, &folder.join("driftline"))?;
    for (shell, file) in SHELLS {
        let text = cargo::output(Command::new(&driftline).args(["completions", shell]))?;
        std::fs::write(folder.join("completions").join(file), text)?;
    }
    cargo::run(Command::new(&driftline).arg("man").arg(folder.join("man")))?;
    for file in FILES {
        std::fs::copy(workspace.join(file), folder.join(file))
            .with_context(|| format!("cannot copy {file}"))?;
    }
    std::fs::write(folder.join("THIRD-PARTY.txt"), third_party(workspace)?)?;
    let archive = into.join(format!("{name}.tar.gz"));
    cargo::run(
        Command::new("tar")
            .args([
                "--sort=name",
                "--owner=0",
                "--group=0",
                "--numeric-owner",
                "-czf",
            ])
            .arg(&archive)
            .arg("-C")
            .arg(&into)
            .arg(&name),
    )?;
    let megabytes = |path: &Path| Ok::<_, std::io::Error>(path.metadata()?.len() as f64 / 1e6);
    println!(
        "{}: {:.1} MB; the command in it {:.1} MB, {:.1} MB before it was stripped",
        archive.display(),
        megabytes(&archive)?,
        megabytes(&folder.join("driftline"))?,
        megabytes(&driftline)?
    );
    Ok(())
}

/// A copy of a program without its symbols.
pub(crate) fn strip(from: &Path, to: &Path) -> Result<()> {
    cargo::run(Command::new("strip").arg(from).arg("-o").arg(to))
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
    source: Option<String>,
}

/// The crates that are linked into the command, with their licences, and each text of a licence once.
fn third_party(workspace: &Path) -> Result<String> {
    let mut tree = cargo::command(workspace, workspace);
    tree.args([
        "tree", "--edges", "normal", "--prefix", "none", "--format", "{p}",
    ]);
    let tree = String::from_utf8(cargo::output(tree.args(FEATURES))?)?;
    // Lines begin with the name and the version.
    let name_and_version = |line: &str| line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let tree: BTreeSet<String> = tree.lines().map(name_and_version).collect();
    let linked =
        |package: &Package| tree.contains(&format!("{} v{}", package.name, package.version));
    let mut metadata = cargo::command(workspace, workspace);
    metadata.args(["metadata", "--format-version", "1"]);
    let metadata: Metadata = serde_json::from_slice(&cargo::output(&mut metadata)?)?;
    let mut text = String::from("driftline is linked with these crates.\n\n");
    let mut notices: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in metadata
        .packages
        .iter()
        .filter(|package| package.source.is_some() && linked(package))
    {
        let (name, version) = (&package.name, &package.version);
        let license = package.license.as_deref().unwrap_or("see its text");
        writeln!(text, "{name} {version}: {license}")?;
        let folder = package
            .manifest_path
            .parent()
            .context("a crate without a folder")?;
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            let file = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase();
            if path.is_file() && NOTICES.iter().any(|notice| file.starts_with(notice)) {
                let notice = String::from_utf8_lossy(&std::fs::read(&path)?)
                    .trim()
                    .to_owned();
                notices
                    .entry(notice)
                    .or_default()
                    .push(format!("{name} {version}"));
            }
        }
    }
    for (notice, crates) in notices {
        writeln!(
            text,
            "\n{}\n{}\n\n{notice}",
            "-".repeat(80),
            crates.join(", ")
        )?;
    }
    Ok(text)
}
