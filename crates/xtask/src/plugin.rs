//! `cargo xtask plugin NAME`: build a plugin of this repository and put it where driftline finds it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use sha2::{Digest, Sha256};

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
    let workspace = &crate::workspace()?;
    let libtorch = match (arguments.name.as_str(), std::env::var_os("LIBTORCH")) {
        ("tch", None) => Some(install_runtime(&driftline(workspace, &FOR_USERS)?, "tch")?),
        _ => None,
    };
    let into = match &arguments.into {
        Some(folder) => folder.clone(),
        None => driftline_plugin_host::search::user_folder()
            .unwrap_or_else(|| PathBuf::from("/usr/local/lib/driftline/plugins")),
    };
    let manifest = install(workspace, &arguments.name, &into, libtorch.as_deref())?;
    println!("{}", manifest.display());
    Ok(())
}

/// Where cargo builds.
pub(crate) fn target_folder(workspace: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => workspace.join(target),
        None => workspace.join("target"),
    }
}

/// How driftline itself is built: as the other commands of the same user build it, so that nothing is built twice.
pub(crate) struct Build {
    /// Flags of cargo.
    pub(crate) flags: &'static [&'static str],
    /// The folder of the profile.
    pub(crate) profile: &'static str,
}

/// As `cargo run --release` builds it.
const FOR_USERS: Build = Build {
    flags: &["--release"],
    profile: "release",
};

/// The command `driftline`, built.
pub(crate) fn driftline(workspace: &Path, build: &Build) -> Result<PathBuf> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--bin", "driftline"])
        .args(build.flags)
        .current_dir(workspace)
        .status()
        .context("cargo could not be started")?;
    ensure!(status.success(), "driftline does not build");
    Ok(target_folder(workspace)
        .join(build.profile)
        .join("driftline"))
}

/// Has `driftline` bring the library of `engine` into the user's cache; its path.
pub(crate) fn install_runtime(driftline: &Path, engine: &str) -> Result<PathBuf> {
    let output = Command::new(driftline)
        .args(["runtime", "install", engine])
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("{} could not be started", driftline.display()))?;
    ensure!(
        output.status.success(),
        "the library of {engine} could not be installed"
    );
    Ok(PathBuf::from(String::from_utf8(output.stdout)?.trim()))
}

/// The manifest of the plugin `name` after it was built and copied into `into`.
pub(crate) fn install(
    workspace: &Path,
    name: &str,
    into: &Path,
    libtorch: Option<&Path>,
) -> Result<PathBuf> {
    let folder = workspace.join("plugins").join(name);
    let source = folder.join(format!("{name}.plugin.toml"));
    let text = std::fs::read_to_string(&source).with_context(|| {
        format!(
            "there is no plugin `{name}`: cannot read {}",
            source.display()
        )
    })?;
    let built = if folder.join("Cargo.toml").is_file() {
        cargo(&folder, name, libtorch)?
    } else {
        make(&folder, name)?
    };
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

/// Builds a plugin in Rust; the folder with its library.
fn cargo(folder: &Path, name: &str, libtorch: Option<&Path>) -> Result<PathBuf> {
    let target = target_folder(&crate::workspace()?);
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target);
    if let Some(libtorch) = libtorch {
        cargo.env("LIBTORCH", libtorch);
    }
    let status = cargo.status().context("cargo could not be started")?;
    ensure!(status.success(), "the plugin `{name}` does not build");
    Ok(target.join("release"))
}

/// Builds a plugin in C; the folder with its library.
fn make(folder: &Path, name: &str) -> Result<PathBuf> {
    let build = target_folder(&crate::workspace()?).join("plugins-in-c");
    let status = Command::new("make")
        .arg("-C")
        .arg(folder)
        .arg(format!("BUILD={}", build.display()))
        .status()
        .context("make could not be started")?;
    ensure!(status.success(), "the plugin `{name}` does not build");
    Ok(build)
}
