//! Python wheels: libraries of engines are published in them.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use driftline_core::{Error, ErrorKind, Result};
use sha2::{Digest, Sha256};

pub(super) const OPERATION: &str = "install runtime";

/// Which wheel.
pub(super) struct Wheel {
    pub(super) package: &'static str,
    pub(super) version: &'static str,
    /// pip's name of the machine.
    pub(super) platform: &'static str,
    /// Hex sha256 of the wheel; none where what is taken out of it is checked.
    pub(super) sha256: Option<&'static str>,
}

/// A wheel that was downloaded.
pub(super) struct Archive {
    path: PathBuf,
    zip: zip::ZipArchive<File>,
}

impl Wheel {
    /// Has pip download the wheel into `folder`, which has no other of this package, and checks it.
    pub(super) fn download(&self, folder: &Path) -> Result<Archive> {
        self.pip_download(folder)?;
        let io = |e| Error::io(OPERATION, folder, e);
        let path = std::fs::read_dir(folder)
            .map_err(io)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| self.is_this(path))
            .ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, "pip brought no wheel"))?;
        if let Some(wanted) = self.sha256 {
            let found = hash_file(&path)?;
            if found != wanted {
                return Err(Error::new(
                    ErrorKind::InvalidData,
                    OPERATION,
                    format!("this is not the wheel: expected sha256 {wanted}, found {found}"),
                )
                .with("file", path.display())
                .remedy("check which package index pip uses"));
            }
        }
        let file = File::open(&path).map_err(|e| Error::io(OPERATION, &path, e))?;
        let zip = zip::ZipArchive::new(file).map_err(|cause| broken(&path, cause))?;
        Ok(Archive { path, zip })
    }

    fn is_this(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = self.package.replace('-', "_");
        name.starts_with(&prefix) && name.ends_with(".whl")
    }

    /// Runs pip from `into`, isolated: the folder that the user happens to be in, `PYTHONPATH` and the user's own
    /// packages could bring a `pip` of anybody, which would run before anything is checked.
    fn pip_download(&self, into: &Path) -> Result<()> {
        let mut python = std::env::var("DRIFTLINE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        if python.contains('/') {
            // From another folder a relative path would be that of something else.
            let absolute = std::path::absolute(&python);
            let absolute = absolute.map_err(|e| Error::io(OPERATION, Path::new(&python), e))?;
            python = absolute.to_string_lossy().into_owned();
        }
        let failed = |message: String| {
            Error::new(ErrorKind::Unavailable, OPERATION, message)
                .with("python", &python)
                .remedy("Python 3 with pip is needed, and a package index it can reach")
        };
        let output = Command::new(&python)
            .current_dir(into)
            .args([
                "-I",
                "-m",
                "pip",
                "download",
                "--quiet",
                "--disable-pip-version-check",
            ])
            // One wheel for all versions of Python: the libraries in it are the same.
            .args([
                "--no-deps",
                "--only-binary=:all:",
                "--python-version",
                "3.11",
            ])
            .args(["--implementation", "cp", "--abi", "cp311", "--abi", "none"])
            .args(["--platform", self.platform])
            .args(["--dest", "."])
            .arg(format!("{}=={}", self.package, self.version))
            .output()
            .map_err(|cause| failed("Python could not be started".to_owned()).because(cause))?;
        if output.status.success() {
            return Ok(());
        }
        let reason = String::from_utf8_lossy(&output.stderr);
        let last = reason.lines().rfind(|line| !line.trim().is_empty());
        Err(failed(format!(
            "pip failed: {}",
            last.unwrap_or("it gave no reason")
        )))
    }
}

impl Archive {
    /// The bytes of `member`.
    pub(super) fn member(&mut self, member: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.zip
            .by_name(member)
            .map_err(|cause| broken(&self.path, cause))?
            .read_to_end(&mut bytes)
            .map_err(|e| Error::io(OPERATION, &self.path, e))?;
        Ok(bytes)
    }

    /// Writes the members that `place` gives a path to.
    pub(super) fn extract(&mut self, place: impl Fn(&str) -> Option<PathBuf>) -> Result<()> {
        for i in 0..self.zip.len() {
            let mut member = self
                .zip
                .by_index(i)
                .map_err(|cause| broken(&self.path, cause))?;
            let name = member.name().map_err(|cause| broken(&self.path, cause))?;
            let Some(path) = place(&name).filter(|_| member.is_file()) else {
                continue;
            };
            let io = |e| Error::io(OPERATION, &path, e);
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder).map_err(io)?;
            }
            let mut file = File::create(&path).map_err(io)?;
            std::io::copy(&mut member, &mut file).map_err(io)?;
        }
        Ok(())
    }
}

fn broken(wheel: &Path, cause: zip::result::ZipError) -> Error {
    Error::new(ErrorKind::InvalidData, OPERATION, "the wheel is broken")
        .with("file", wheel.display())
        .because(cause)
}

fn hash_file(path: &Path) -> Result<String> {
    let io = |e| Error::io(OPERATION, path, e);
    let mut file = File::open(path).map_err(io)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(io)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// Hex sha256 of `bytes`.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
