//! The Python that tests check driftline's files with, and the libraries that come with it.

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

/// libonnxruntime of the environment.
pub(crate) fn onnxruntime(python: &Path) -> Result<PathBuf> {
    let output = Command::new(python)
        .args(["-c", "import onnxruntime; print(onnxruntime.__path__[0])"])
        .output()
        .with_context(|| format!("{} could not be started", python.display()))?;
    ensure!(
        output.status.success(),
        "the package onnxruntime does not load"
    );
    let capi = Path::new(String::from_utf8_lossy(&output.stdout).trim()).join("capi");
    std::fs::read_dir(&capi)
        .with_context(|| format!("cannot read {}", capi.display()))?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libonnxruntime.")
        })
        .with_context(|| format!("no libonnxruntime in {}", capi.display()))
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| {
        format!("{command:?} could not be started; the tests need Python 3 with venv and pip")
    })?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
