//! libonnxruntime, from the Python package `onnxruntime`.

use std::path::PathBuf;

use driftline_core::{Error, ErrorKind, Result};
use driftline_fetch::Cache;
use driftline_rows::{create_folder, write_atomic};

use super::wheel::{OPERATION, Wheel, sha256};

/// A library inside a wheel.
struct Packaged {
    /// `std::env::consts::{OS, ARCH}`.
    machine: (&'static str, &'static str),
    wheel: Wheel,
    /// The library's path in the wheel.
    member: &'static str,
    /// Hex sha256 of the library.
    sha256: &'static str,
}

const fn wheel(platform: &'static str) -> Wheel {
    Wheel {
        package: "onnxruntime",
        version: "1.32.0",
        platform,
        sha256: None,
    }
}

const LIBRARIES: [Packaged; 3] = [
    Packaged {
        machine: ("linux", "x86_64"),
        wheel: wheel("manylinux_2_28_x86_64"),
        member: "onnxruntime/capi/libonnxruntime.so.1.32.0",
        sha256: "6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f",
    },
    Packaged {
        machine: ("linux", "aarch64"),
        wheel: wheel("manylinux_2_28_aarch64"),
        member: "onnxruntime/capi/libonnxruntime.so.1.32.0",
        sha256: "49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a",
    },
    Packaged {
        machine: ("macos", "aarch64"),
        wheel: wheel("macosx_14_0_arm64"),
        member: "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
        sha256: "fa585fabbea65b823b9a8f7e27d46aee3989d1be7e36b528203d3a1fd613aae7",
    },
];

/// Brings libonnxruntime into the cache with pip, checks it, and returns its path. One that is there is not brought
/// again.
pub fn install() -> Result<PathBuf> {
    let machine = (std::env::consts::OS, std::env::consts::ARCH);
    let library = LIBRARIES
        .iter()
        .find(|library| library.machine == machine)
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
    let name = library.member.rsplit('/').next().unwrap_or(library.member);
    let path = folder.join(name);
    if std::fs::read(&path).is_ok_and(|bytes| sha256(&bytes) == library.sha256) {
        return Ok(path);
    }
    create_folder(&folder)?;
    let download = tempfile::tempdir_in(&folder).map_err(|e| Error::io(OPERATION, &folder, e))?;
    let mut wheel = library.wheel.download(download.path())?;
    let bytes = wheel.member(library.member)?;
    let found = sha256(&bytes);
    if found != library.sha256 {
        return Err(Error::new(
            ErrorKind::InvalidData,
            OPERATION,
            format!(
                "this is not the library: expected sha256 {}, found {found}",
                library.sha256
            ),
        )
        .with("member", library.member)
        .remedy("check which package index pip uses"));
    }
    write_atomic(&path, &bytes)?;
    Ok(path)
}
