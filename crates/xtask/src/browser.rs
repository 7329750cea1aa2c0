//! The browser that tests open driftline's page in, and the accessibility checks that run in it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// Debian's package, and the command in it.
const CHROMIUM: &str = "chromium";

/// Accessibility checks, from the registry of npm, pinned.
const AXE: &str = "axe-core@4.14.1";

/// Chromium, installed if it is missing.
pub(crate) fn chromium() -> Result<PathBuf> {
    if let Some(found) = on_path(CHROMIUM) {
        return Ok(found);
    }
    println!("==> Chromium");
    let needs = "the tests of the web page need Chromium: as root, or on a system that is not Debian's, install it so that \
                 `chromium` is on the path";
    ensure!(on_path("apt-get").is_some(), needs);
    for arguments in [
        &["update", "-qq"][..],
        &["install", "-y", "-qq", "--no-install-recommends", CHROMIUM],
    ] {
        let status = Command::new("apt-get")
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .status()
            .context("apt-get could not be started")?;
        ensure!(
            status.success(),
            "`apt-get {}` failed; {needs}",
            arguments.join(" ")
        );
    }
    on_path(CHROMIUM).context("Chromium was installed, but is not on the path")
}

/// The script of axe-core, brought into the cargo target folder once.
pub(crate) fn axe(workspace: &Path) -> Result<PathBuf> {
    let folder = crate::cargo::target_folder(workspace).join("test-axe");
    let script = folder.join("node_modules/axe-core/axe.min.js");
    // The version is part of what was installed.
    let installed = folder.join("installed.txt");
    if script.is_file() && std::fs::read_to_string(&installed).is_ok_and(|have| have == AXE) {
        return Ok(script);
    }
    println!("==> {AXE}");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let status = Command::new("npm")
        .args([
            "install",
            "--silent",
            "--no-save",
            "--no-audit",
            "--no-fund",
            "--ignore-scripts",
        ])
        .arg("--prefix")
        .arg(&folder)
        .arg(AXE)
        .status()
        .context("npm could not be started; the tests of the web page need it")?;
    ensure!(status.success(), "npm could not install {AXE}");
    if !script.is_file() {
        bail!("{AXE} has no {}", script.display());
    }
    std::fs::write(&installed, AXE)
        .with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(script)
}

/// The command `name`, if it is there.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|command| command.is_file())
}
