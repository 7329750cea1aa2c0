//! What a download is told and tells: a mirror, patience, progress, and what went wrong.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use driftline_core::{Error, ErrorKind, Result};

/// The operation that errors name.
pub(crate) const OPERATION: &str = "fetch";

/// The variable with the address of a folder that artifacts come from instead of their own addresses.
pub const MIRROR: &str = "DRIFTLINE__FETCH__MIRROR";

/// How far a download has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress {
    /// Bytes that are there, those of an earlier, interrupted download included.
    pub received: u64,
    /// Size of the artifact in bytes.
    pub total: u64,
}

/// How long to wait for a server, and how often to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Longest time until a connection stands.
    pub connect: Duration,
    /// Longest time without a byte.
    pub stall: Duration,
    /// Attempts in all, at least 1.
    pub attempts: u32,
    /// Pause after the first failed attempt; it doubles after each further one.
    pub pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(60),
            attempts: 6,
            pause: Duration::from_secs(1),
        }
    }
}

/// The server sent something else.
pub(crate) fn wrong(
    what: &str,
    expected: impl std::fmt::Display,
    found: impl std::fmt::Display,
) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        OPERATION,
        format!(
            "what the server sent is not the artifact: expected {what} {expected}, found {found}"
        ),
    )
    .remedy(format!(
        "try again later, or set {MIRROR} to the address of a folder that has it"
    ))
}

pub(crate) fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("remove a bad download", path, e))
        }
        _ => Ok(()),
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}
