//! What the operating system grants: open files, and space on the disk.

use std::io;
use std::path::Path;

/// Raises the number of files that this process may have open to the most that it may ask for. Where that fails, less is
/// served at the same time, and nothing else.
pub fn raise_open_files() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let limit = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: limit.maximum,
            ..limit
        };
        if let Err(cause) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%cause, "the limit of open files stays as it is");
        }
    }
}

/// How many files this process may have open; `None` if nobody says.
pub(crate) fn open_files() -> Option<u64> {
    #[cfg(unix)]
    {
        rustix::process::getrlimit(rustix::process::Resource::Nofile).current
    }
    #[cfg(not(unix))]
    {
        None
    }
}

/// Bytes that may still be written to the disk of `folder`; `None` if nobody says.
pub(crate) fn free_bytes(folder: &Path) -> io::Result<Option<u64>> {
    #[cfg(unix)]
    {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(Some(disk.f_bavail.saturating_mul(disk.f_frsize)))
    }
    #[cfg(not(unix))]
    {
        let _anywhere = folder;
        Ok(None)
    }
}
