//! One writer at a time.

use std::fs::{File, OpenOptions};

use driftline_core::{Error, Result};

use crate::journal;
use crate::layout::Layout;

/// The exclusive lock on a model's folder. The kernel releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until no other process writes here, and completes what a killed one had begun to replace.
    pub(crate) fn acquire(layout: &Layout) -> Result<Self> {
        let lock = Self::bare(layout)?;
        journal::complete(layout)?;
        Ok(lock)
    }

    /// Waits until no other process writes here.
    pub(crate) fn bare(layout: &Layout) -> Result<Self> {
        let path = layout.lock();
        let failed = |e| Error::io("lock the store for writing", &path, e);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(Self { _file: file })
    }
}
