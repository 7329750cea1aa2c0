//! The Python that tests check driftline's files with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Packages, with their versions; the second list is complete, because a package on it asks for more than it needs.
const REQUIREMENTS: [(&str, &[&str]); 2] = [
    ("crates/xtask/requirements.txt", &[]),
    ("plugins/corruptions/tests/requirements.txt", &["--no-deps"]),
];

/// Makes a virtual environment with the pinned packages in the cargo target folder, unless it is there already, and
/// returns its interpreter.
pub(crate) fn environment(workspace: &Path) -> Result<PathBuf> {
    let mut wanted = String::new();
    for (path, _) in REQUIREMENTS {
        let path = workspace.join(path);
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        wanted.push_str(&text);
    }
    let folder = crate::plugin::target_folder(workspace).join("test-python");
    let python = folder.join("bin/python");
    // Written last: a half-made environment is made again.
    let installed = folder.join("installed.txt");
    if std::fs::read_to_string(&installed).is_ok_and(|have| have == wanted) && python.is_file() {
        return Ok(python);
    }
    println!("==> Python packages");
    run(Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder))?;
    for (path, flags) in REQUIREMENTS {
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .arg("--disable-pip-version-check")
            .args(flags)
            .arg("-r")
            .arg(workspace.join(path)))?;
    }
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
