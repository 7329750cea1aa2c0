//! Starting a program under the interposing library.

use std::ffi::{OsString, c_int};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

/// Variable with the folder whose files count.
pub const ROOT: &str = "DRIFTLINE_FAULTS_ROOT";
/// Variable with the log that operations are appended to.
pub const LOG: &str = "DRIFTLINE_FAULTS_LOG";
/// Variable with the fault, as [`Fault`] is written: `ENOSPC:7`, or `ENOSPC:7+` if it lasts.
pub const FAIL: &str = "DRIFTLINE_FAULTS_FAIL";

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The disk is full.
    Enospc,
    /// The disk fails.
    Eio,
    /// The process has too many open files.
    Emfile,
    /// The permission is missing.
    Eacces,
    /// Half of what should be written is written, and the call says so.
    Short,
}

const OPEN: [&str; 2] = ["open", "create"];
const NAMES: [&str; 6] = ["open", "create", "rename", "unlink", "mkdir", "rmdir"];
const WRITES: [&str; 4] = ["write", "pwrite", "copy_file_range", "sendfile"];
/// Calls that need space.
const SPACE: [&str; 10] = [
    "create",
    "rename",
    "link",
    "mkdir",
    "ftruncate",
    "fallocate",
    "write",
    "pwrite",
    "copy_file_range",
    "sendfile",
];

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Enospc,
        Self::Eio,
        Self::Emfile,
        Self::Eacces,
        Self::Short,
    ];

    /// The name in [`FAIL`].
    pub fn name(self) -> &'static str {
        match self {
            Self::Enospc => "ENOSPC",
            Self::Eio => "EIO",
            Self::Emfile => "EMFILE",
            Self::Eacces => "EACCES",
            Self::Short => "SHORT",
        }
    }

    /// What the call reports; `None` if it reports success.
    pub fn errno(self) -> Option<c_int> {
        match self {
            Self::Enospc => Some(libc::ENOSPC),
            Self::Eio => Some(libc::EIO),
            Self::Emfile => Some(libc::EMFILE),
            Self::Eacces => Some(libc::EACCES),
            Self::Short => None,
        }
    }

    /// Whether a call can fail so. Only such calls are counted.
    pub fn concerns(self, call: &str) -> bool {
        match self {
            Self::Enospc => SPACE.contains(&call) || call.ends_with("sync"),
            Self::Eio => true,
            Self::Emfile => OPEN.contains(&call),
            Self::Eacces => NAMES.contains(&call) || call == "link",
            Self::Short => WRITES.contains(&call),
        }
    }
}

/// The call that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// How.
    pub kind: Kind,
    /// Which of the calls that can fail so, from 1.
    pub number: u64,
    /// Whether all later ones fail too.
    pub lasting: bool,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let lasting = if self.lasting { "+" } else { "" };
        write!(f, "{}:{}{lasting}", self.kind.name(), self.number)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a fault like ENOSPC:7 or ENOSPC:7+");
        let (name, number) = text.split_once(':').ok_or_else(wrong)?;
        let kind = Kind::ALL.into_iter().find(|kind| kind.name() == name);
        let digits = number.strip_suffix('+');
        Ok(Self {
            kind: kind.ok_or_else(wrong)?,
            number: digits.unwrap_or(number).parse().map_err(|_| wrong())?,
            lasting: digits.is_some(),
        })
    }
}

/// The interposing library as cargo builds it beside the tests of a workspace (`cargo build --examples`); `None` if it is
/// not there.
pub fn library() -> Option<PathBuf> {
    let test = std::env::current_exe().ok()?;
    let library = test.ancestors().nth(2)?.join("examples/libinterpose.so");
    library.is_file().then_some(library)
}

/// Has `command` run under `library`: what it does below `root`, which must be there, goes to `log`, and `fault` happens
/// to it.
///
/// # Errors
/// If `root` is not there.
pub fn interpose(
    command: &mut Command,
    library: &Path,
    root: &Path,
    log: &Path,
    fault: Option<Fault>,
) -> std::io::Result<()> {
    command
        .env("LD_PRELOAD", library)
        .env(ROOT, root.canonicalize()?)
        .env(LOG, log);
    match fault {
        Some(fault) => command.env(FAIL, OsString::from(fault.to_string())),
        None => command.env_remove(FAIL),
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_comes_back_from_its_text() {
        for kind in Kind::ALL {
            for lasting in [false, true] {
                let fault = Fault {
                    kind,
                    number: 12,
                    lasting,
                };
                assert_eq!(fault.to_string().parse(), Ok(fault));
            }
        }
        for text in ["ENOSPC", "ENOSPC:x", "ENOENT:1"] {
            assert!(text.parse::<Fault>().is_err(), "{text}");
        }
    }
}
