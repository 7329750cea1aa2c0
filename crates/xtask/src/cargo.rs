//! Cargo, and where it builds.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The folder of the workspace. Cargo tells it at run time: a target folder that several checkouts share may hold an xtask that
/// was compiled in another one.
pub(crate) fn workspace() -> Result<PathBuf> {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").context("run it as `cargo xtask`")?;
    let workspace = Path::new(&package).ancestors().nth(2);
    let workspace = workspace.context("xtask is not two folders below the workspace")?;
    Ok(workspace.to_path_buf())
}

/// Where cargo builds.
pub(crate) fn target_folder(workspace: &Path) -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(target) => workspace.join(target),
        None => workspace.join("target"),
    }
}

/// A profile of cargo.
#[derive(Clone, Copy)]
pub(crate) enum CargoProfile {
    /// For tests.
    Dev,
    /// As `cargo run --release` builds, for users.
    Release,
}

impl CargoProfile {
    /// The flags that choose it.
    pub(crate) fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Dev => &[],
            Self::Release => &["--release"],
        }
    }

    /// Its part of the target folder.
    pub(crate) fn folder(self, workspace: &Path) -> PathBuf {
        target_folder(workspace).join(match self {
            Self::Dev => "debug",
            Self::Release => "release",
        })
    }
}

/// Cargo, in `folder`, building into the target folder of the workspace.
pub(crate) fn command(workspace: &Path, folder: &Path) -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target_folder(workspace));
    cargo
}

/// Runs a command; an error that names it where it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| not_started(command))?;
    ensure!(status.success(), "`{}` failed", text(command));
    Ok(())
}

/// Runs a command and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| not_started(command))?;
    ensure!(output.status.success(), "`{}` failed", text(command));
    Ok(output.stdout)
}

fn not_started(command: &Command) -> String {
    format!("`{}` could not be started", text(command))
}

/// A command without its environment, which is long.
fn text(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

/// The command `driftline` as `cargo run --release` builds it, so that nothing is built twice.
pub(crate) fn driftline(workspace: &Path) -> Result<PathBuf> {
    let mut cargo = command(workspace, workspace);
    cargo.args(["build", "--quiet", "--bin", "driftline"]);
    run(cargo.args(CargoProfile::Release.flags()))?;
    Ok(CargoProfile::Release.folder(workspace).join("driftline"))
}

/// Has `driftline` bring the library of `engine` into the user's cache; its path.
pub(crate) fn install_runtime(driftline: &Path, engine: &str) -> Result<PathBuf> {
    let path = output(Command::new(driftline).args(["runtime", "install", engine]))?;
    Ok(PathBuf::from(String::from_utf8(path)?.trim()))
}

/// The machine that programs are built for, as in `x86_64-unknown-linux-gnu`.
pub(crate) fn host() -> Result<String> {
    let version = String::from_utf8(output(Command::new("rustc").arg("-vV"))?)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host
        .context("rustc does not say what machine it is for")?
        .to_owned())
}
