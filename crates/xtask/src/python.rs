//! The Python that tests check driftline's files with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Packages, with their versions.
const REQUIREMENTS: &str = "crates/xtask/requirements.txt";

/// Makes a virtual environment with the pinned packages in the cargo target folder, unless it is there already, and
/// returns its interpreter.
pub(crate) fn environment(workspace: &Path) -> Result<PathBuf> {
    let requirements = workspace.join(REQUIREMENTS);
    let wanted = std::fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let folder = crate::plugin::target_folder(workspace).join("test-python");
    let python = folder.join("bin/python");
    // Written last: a half-made environment is made again.
    let installed = folder.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|have| have == wanted) && python.is_file() {
        return Ok(python);
    }
    println!("==> Python packages of {REQUIREMENTS}");
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(&requirements))?;
    std::fs::write(&installed, wanted)
        .with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| {
        format!("{command:?} could not be started; the tests need Python 3 with venv and pip")
    })?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
