//! Part files that are read, and how a change of one is noticed.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use driftline_core::{Error, MonitorSpec, Result, Rows};
use driftline_sink_local::{PartFile, PartRows, Section};

/// A part file and the stamp by which a change of it is noticed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StampedPart {
    pub(crate) path: PathBuf,
    pub(crate) section: Section,
    size: u64,
    changed: Option<SystemTime>,
}

impl StampedPart {
    pub(crate) fn new(part: PartFile) -> Result<Self> {
        let found = fs::metadata(&part.path)
            .map_err(|cause| Error::io("read the store", &part.path, cause))?;
        Ok(Self {
            path: part.path,
            section: part.section,
            size: found.len(),
            changed: found.modified().ok(),
        })
    }
}

/// Reads a part file batch by batch. Returns why its rows cannot be used, if they cannot: it is damaged, or holds rows
/// of another monitor.
///
/// # Errors
/// Whatever has another cause, `NotFound` if the file is gone.
pub(crate) fn read_rows(
    part: &StampedPart,
    monitor: &MonitorSpec,
    mut each: impl FnMut(&Rows) -> Result<()>,
) -> Result<Option<String>> {
    let (path, section) = (part.path.clone(), part.section);
    let mut reader = PartRows::of(PartFile { path, section }, monitor.schema.clone());
    for rows in reader.by_ref() {
        each(&rows?)?;
    }
    let damage = reader.damaged().first();
    Ok(damage.map(|damage| damage.reason.clone()))
}
