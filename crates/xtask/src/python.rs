//! The Python that tests check driftline's files and its server with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A list of packages with their versions, and the flags that pip needs for it.
type Requirements = (&'static str, &'static [&'static str]);

/// A virtual environment in the cargo target folder.
struct Environment {
    /// Its folder.
    folder: &'static str,
    requirements: &'static [Requirements],
}

/// Reads what driftline writes. The second list is complete, because a package on it asks for more than it needs.
const READERS: Environment = Environment {
    folder: "test-python",
    requirements: &[
        ("crates/xtask/requirements.txt", &[]),
        ("plugins/corruptions/tests/requirements.txt", &["--no-deps"]),
    ],
};

/// Nothing of the clients is built: what has no wheel for this Python is an error at once.
const WHEELS: &[&str] = &["--only-binary", ":all:"];

/// Fiddler's clients, one of each generation: no two can be in one environment.
const CLIENTS: [Environment; 3] = [
    Environment {
        folder: "test-clients/1.8.6",
        requirements: &[("crates/cli/tests/clients/requirements-1.8.6.txt", WHEELS)],
    },
    Environment {
        folder: "test-clients/2.5.0",
        requirements: &[("crates/cli/tests/clients/requirements-2.5.0.txt", WHEELS)],
    },
    Environment {
        folder: "test-clients/3.14.1",
        requirements: &[("crates/cli/tests/clients/requirements-3.14.1.txt", WHEELS)],
    },
];

/// The interpreter that reads driftline's files.
pub(crate) fn readers(workspace: &Path) -> Result<PathBuf> {
    READERS.make(workspace)
}

/// The folder with one environment for each of Fiddler's clients, named by its version.
pub(crate) fn clients(workspace: &Path) -> Result<PathBuf> {
    for client in &CLIENTS {
        client.make(workspace)?;
    }
    Ok(crate::cargo::target_folder(workspace).join("test-clients"))
}

impl Environment {
    /// Installs the pinned packages, unless they are there already, and returns the interpreter.
    fn make(&self, workspace: &Path) -> Result<PathBuf> {
        let mut wanted = String::new();
        for (path, _) in self.requirements {
            let path = workspace.join(path);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            wanted.push_str(&text);
        }
        let folder = crate::cargo::target_folder(workspace).join(self.folder);
        let python = folder.join("bin/python");
        // Written last: a half-made environment is made again.
        let installed = folder.join("installed.txt");
        if std::fs::read_to_string(&installed).is_ok_and(|have| have == wanted) && python.is_file()
        {
            return Ok(python);
        }
        println!("==> Python packages of {}", self.folder);
        run(Command::new(interpreter())
            .args(["-m", "venv", "--clear"])
            .arg(&folder))?;
        for (path, flags) in self.requirements {
            run(Command::new(&python)
                .args(["-m", "pip", "install", "--quiet"])
                .arg("--disable-pip-version-check")
                .args(*flags)
                .arg("-r")
                .arg(workspace.join(path)))?;
        }
        std::fs::write(&installed, wanted)
            .with_context(|| format!("cannot write {}", installed.display()))?;
        Ok(python)
    }
}

/// The oldest client's packages end at Python 3.11, so that it is taken where there are several.
fn interpreter() -> &'static str {
    let output = Command::new("python3.11").arg("--version").output();
    match output {
        Ok(output) if output.status.success() => "python3.11",
        _ => "python3",
    }
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| {
        format!("{command:?} could not be started; the tests need Python 3.11 with venv and pip")
    })?;
    ensure!(status.success(), "{command:?} failed");
    Ok(())
}
