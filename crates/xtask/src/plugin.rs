//! `cargo xtask plugin NAME`: build a plugin of this repository and put it where driftline finds it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::cargo::{self, CargoProfile};

/// What to build, and where it goes.
#[derive(Args)]
pub(crate) struct Arguments {
    /// A folder of `plugins`
    name: String,
    /// Folder for the library and its manifest [default: the user's plugin folder, for root that of the machine]
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,
}

/// Builds and installs; says where.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = &cargo::workspace()?;
    let name = &arguments.name;
    let driftline = || cargo::driftline(workspace);
    let libtorch = match (name.as_str(), std::env::var_os("LIBTORCH")) {
        ("tch", None) => Some(cargo::install_runtime(&driftline()?, "tch")?),
        _ => None,
    };
    let into = match &arguments.into {
        Some(folder) => folder.clone(),
        None => user_folder(&driftline()?)?,
    };
    let built = Place::of(workspace, name).build(
        workspace,
        name,
        CargoProfile::Release,
        libtorch.as_deref(),
    )?;
    let manifest = install(workspace, name, &built, &into)?;
    println!("{}", manifest.display());
    Ok(())
}

/// The folder of plugins that is the user's own, for root that of the machine: the first that driftline looks in by itself.
fn user_folder(driftline: &Path) -> Result<PathBuf> {
    let mut command = Command::new(driftline);
    command
        .args(["plugin", "path", "--json"])
        .env_remove("DRIFTLINE_PLUGIN_PATH");
    let folders: Vec<Looked> = serde_json::from_slice(&cargo::output(&mut command)?)?;
    let first = folders.into_iter().next();
    Ok(first.context("driftline looks for plugins nowhere")?.path)
}

/// A folder that driftline looked in.
#[derive(Deserialize)]
struct Looked {
    path: PathBuf,
}

/// The build tool of a plugin of this repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Cargo, as a part of the workspace.
    Member,
    /// Cargo, as a workspace of its own.
    Alone,
    /// Make.
    C,
}

impl Place {
    /// The build tool of the plugin `name`.
    pub(crate) fn of(workspace: &Path, name: &str) -> Self {
        let manifest = workspace.join("plugins").join(name).join("Cargo.toml");
        match std::fs::read_to_string(manifest) {
            Ok(text) if text.lines().any(|line| line == "[workspace]") => Self::Alone,
            Ok(_) => Self::Member,
            Err(_) => Self::C,
        }
    }

    /// Builds it; the folder with its library.
    pub(crate) fn build(
        self,
        workspace: &Path,
        name: &str,
        profile: CargoProfile,
        libtorch: Option<&Path>,
    ) -> Result<PathBuf> {
        let folder = workspace.join("plugins").join(name);
        if self == Self::C {
            let built = cargo::target_folder(workspace).join("plugins-in-c");
            cargo::run(
                Command::new("make")
                    .arg("-C")
                    .arg(folder)
                    .arg(format!("BUILD={}", built.display())),
            )?;
            return Ok(built);
        }
        let mut cargo = cargo::command(workspace, &folder);
        cargo.args(["build", "--locked"]).args(profile.flags());
        if let Some(libtorch) = libtorch {
            cargo.env("LIBTORCH", libtorch);
        }
        cargo::run(&mut cargo)?;
        Ok(profile.folder(workspace))
    }
}

/// Copies the library of the plugin `name` out of `built`, and its manifest, into `into`; the path of the manifest.
pub(crate) fn install(workspace: &Path, name: &str, built: &Path, into: &Path) -> Result<PathBuf> {
    let folder = workspace.join("plugins").join(name);
    let source = folder.join(format!("{name}.plugin.toml"));
    let text = std::fs::read_to_string(&source).with_context(|| {
        format!(
            "there is no plugin `{name}`: cannot read {}",
            source.display()
        )
    })?;
    let (line, library) = text
        .lines()
        .find_map(|line| Some((line, line.strip_prefix("path = \"")?.strip_suffix('"')?)))
        .with_context(|| format!("{} names no library", source.display()))?;
    let built = built.join(library);
    let bytes =
        std::fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    let digest: String = Sha256::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let text = text.replace(line, &format!("{line}\nsha256 = \"{digest}\""));
    std::fs::create_dir_all(into).with_context(|| format!("cannot make {}", into.display()))?;
    let manifest = into.join(format!("{name}.plugin.toml"));
    // A running driftline keeps the library it has mapped: the new one gets another inode.
    for (path, content) in [
        (into.join(library), bytes),
        (manifest.clone(), text.into_bytes()),
    ] {
        let new = path.with_extension("new");
        std::fs::write(&new, content)
            .and_then(|()| std::fs::rename(&new, &path))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(manifest)
}
