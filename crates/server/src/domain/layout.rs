//! Where the server's files are in the store, and who may use them.

use std::fs::File;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};

/// The server's files in a store.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    /// The folder that has them all.
    pub(crate) folder: PathBuf,
    /// The catalog.
    pub(crate) database: PathBuf,
    /// The folder of uploads.
    pub(crate) uploads: PathBuf,
}

impl Layout {
    /// Those of the store at `store`.
    pub(crate) fn of(store: &Path) -> Self {
        let folder = store.join(".driftline");
        Self {
            database: folder.join("server.db"),
            uploads: folder.join("uploads"),
            folder,
        }
    }

    /// Takes the store for this process, until the file is dropped: two workers would take the same jobs.
    ///
    /// # Errors
    /// `Resource` if another server has the store.
    pub(crate) fn lock(&self) -> Result<File> {
        let path = self.folder.join("server.lock");
        let file =
            File::create(&path).map_err(|e| Error::io("lock the store for a server", &path, e))?;
        file.try_lock().map_err(|cause| {
            Error::new(
                ErrorKind::Resource,
                "lock the store for a server",
                "another server has this store",
            )
            .with("file", path.display())
            .because(cause)
            .remedy("stop it, or give another `sink.store`")
        })?;
        Ok(file)
    }
}
