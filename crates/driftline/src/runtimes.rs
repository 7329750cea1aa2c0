//! Libraries of engines in the user's cache.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use driftline_core::{Error, ErrorKind, Result};
use driftline_fetch::Cache;
use driftline_rows::{create_folder, write_atomic};
use sha2::{Digest, Sha256};

const OPERATION: &str = "install runtime";

/// A library inside a wheel of the Python package `onnxruntime`.
struct Wheel {
    /// `std::env::consts::{OS, ARCH}`.
    machine: (&'static str, &'static str),
    /// pip's name of the machine.
    platform: &'static str,
    /// The library's path in the wheel.
    member: &'static str,
    /// Hex sha256 of the library.
    sha256: &'static str,
}

/// Version of ONNX Runtime that is installed.
const ONNX_VERSION: &str = "1.32.0";

const ONNX_WHEELS: [Wheel; 3] = [
    Wheel {
        machine: ("linux", "x86_64"),
        platform: "manylinux_2_28_x86_64",
        member: "onnxruntime/capi/libonnxruntime.so.1.32.0",
        sha256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
    },
    Wheel {
        machine: ("linux", "aarch64"),
        platform: "manylinux_2_28_aarch64",
        member: "onnxruntime/capi/libonnxruntime.so.1.32.0",
        sha256: "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
    },
    Wheel {
        machine: ("macos", "aarch64"),
        platform: "macosx_14_0_arm64",
        member: "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
        sha256: "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
    },
];

/// The folder that libraries of `engine` are installed in; none where the user has no cache folder.
pub fn folder(engine: &str) -> Option<PathBuf> {
    let cache = Cache::open().ok()?;
    Some(cache.folder().join("runtimes").join(engine))
}

/// Brings libonnxruntime into the cache with pip, checks it, and returns its path. One that is there is not brought
/// again.
pub fn install_onnx() -> Result<PathBuf> {
    let machine = (std::env::consts::OS, std::env::consts::ARCH);
    let wheel = ONNX_WHEELS
        .iter()
        .find(|wheel| wheel.machine == machine)
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                OPERATION,
                format!(
                    "there is no ONNX Runtime to install for {} {}",
                    machine.0, machine.1
                ),
            )
            .remedy("install it yourself and name the library with ORT_DYLIB_PATH")
        })?;
    let folder = Cache::open()?.folder().join("runtimes").join("onnx");
    let name = wheel.member.rsplit('/').next().unwrap_or(wheel.member);
    let path = folder.join(name);
    if std::fs::read(&path).is_ok_and(|bytes| hex(&bytes) == wheel.sha256) {
        return Ok(path);
    }
    create_folder(&folder)?;
    let download = tempfile::tempdir_in(&folder).map_err(|e| Error::io(OPERATION, &folder, e))?;
    pip_download(wheel, download.path())?;
    let bytes = member(download.path(), wheel.member)?;
    let found = hex(&bytes);
    if found != wheel.sha256 {
        return Err(Error::new(
            ErrorKind::InvalidData,
            OPERATION,
            format!(
                "this is not the library: expected sha256 {}, found {found}",
                wheel.sha256
            ),
        )
        .with("member", wheel.member)
        .remedy("look at where pip downloads from"));
    }
    write_atomic(&path, &bytes)?;
    Ok(path)
}

fn pip_download(wheel: &Wheel, into: &Path) -> Result<()> {
    let python = std::env::var("DRIFTLINE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let failed = |message: String| {
        Error::new(ErrorKind::Unavailable, OPERATION, message)
            .with("python", &python)
            .remedy("Python 3 with pip is needed, and a package index it can reach")
    };
    let output = Command::new(&python)
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--disable-pip-version-check",
        ])
        // One wheel for all versions of Python: the library in it is the same.
        .args([
            "--no-deps",
            "--only-binary=:all:",
            "--python-version",
            "3.11",
        ])
        .args([
            "--implementation",
            "cp",
            "--abi",
            "cp311",
            "--platform",
            wheel.platform,
        ])
        .arg("--dest")
        .arg(into)
        .arg(format!("onnxruntime=={ONNX_VERSION}"))
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

/// The bytes of `member` of the only wheel in `folder`.
fn member(folder: &Path, member: &str) -> Result<Vec<u8>> {
    let io = |e| Error::io(OPERATION, folder, e);
    let wheel = std::fs::read_dir(folder)
        .map_err(io)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::new(ErrorKind::NotFound, OPERATION, "pip brought no wheel"))?;
    let broken = |cause: zip::result::ZipError| {
        Error::new(ErrorKind::InvalidData, OPERATION, "the wheel is broken")
            .with("file", wheel.display())
            .because(cause)
    };
    let file = std::fs::File::open(&wheel).map_err(|e| Error::io(OPERATION, &wheel, e))?;
    let mut archive = zip::ZipArchive::new(file).map_err(broken)?;
    let mut bytes = Vec::new();
    archive
        .by_name(member)
        .map_err(broken)?
        .read_to_end(&mut bytes)
        .map_err(|e| Error::io(OPERATION, &wheel, e))?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
