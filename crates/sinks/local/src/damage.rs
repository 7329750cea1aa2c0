//! Files that could not be used.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result, RowSchema};
use driftline_rows::{Footer, create_folder};

use crate::layout::Layout;
use crate::part::digest_in;

const SUFFIX: &str = ".damaged";

/// A file of the store whose rows cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Where the file was found.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// Where the file is now, if the sink set it aside.
    pub moved_to: Option<PathBuf>,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.reason)?;
        match &self.moved_to {
            Some(place) => write!(f, "; set aside as {}", place.display()),
            None => Ok(()),
        }
    }
}

/// Why a part file cannot be used.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The file is broken: its rows are lost, unless they are published again.
    Broken(Error),
    /// The file is whole, but holds rows of another monitor.
    Foreign(Error),
    /// The file could not be read now; it may be well.
    Unreadable(Error),
}

impl Fault {
    /// What is wrong, whatever follows from it.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Broken(error) | Self::Foreign(error) | Self::Unreadable(error) => error,
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidData => Self::Broken(error),
            _ => Self::Unreadable(error),
        }
    }
}

/// Reads the footer of a part file, and compares it with the file's name and the monitor's schema.
pub(crate) fn check(path: &Path, schema: &RowSchema) -> Result<Footer, Fault> {
    let footer = Footer::read(path)?;
    if let Some(expected) = digest_in(path)
        && !footer
            .digest
            .as_ref()
            .is_some_and(|digest| digest.starts_with(expected))
    {
        let message = "the end of the file is not what was written";
        return Err(Fault::Broken(
            Error::new(ErrorKind::InvalidData, "read the store", message)
                .with("file", path.display()),
        ));
    }
    if !footer.schema.fits(schema) {
        let message = format!(
            "its rows have embeddings of {} values and the classes {}, which is not what monitor.json says",
            footer.schema.dim,
            footer.schema.classes.join(", ")
        );
        return Err(Fault::Foreign(
            Error::new(ErrorKind::InvalidData, "read the store", message)
                .with("file", path.display()),
        ));
    }
    Ok(footer)
}

/// Makes a [`Damage`] of a fault; one that is no damage stays an error.
pub(crate) fn record(path: &Path, fault: Fault) -> Result<Damage> {
    match fault {
        Fault::Broken(error) | Fault::Foreign(error) => Ok(Damage {
            path: path.to_owned(),
            reason: error.to_string(),
            moved_to: None,
        }),
        Fault::Unreadable(error) => Err(error),
    }
}

/// Like [`record`], and moves a broken file out of the way of those who read the folder. The caller holds the lock.
///
/// Only files that the sink itself wrote are moved: what somebody else put there is theirs.
pub(crate) fn set_aside(layout: &Layout, path: &Path, fault: Fault) -> Result<Damage> {
    let ours = digest_in(path).is_some() && matches!(fault, Fault::Broken(_));
    let mut damage = record(path, fault)?;
    if ours {
        damage.moved_to = Some(move_aside(layout, path)?);
    }
    Ok(damage)
}

/// Moves a file to `damaged/`, and returns its place there. The caller holds the lock.
pub(crate) fn move_aside(layout: &Layout, path: &Path) -> Result<PathBuf> {
    let folder = layout.damaged();
    create_folder(&folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut place = folder.join(format!("{name}{SUFFIX}"));
    let mut copies = 1;
    while place.exists() {
        copies += 1;
        place = folder.join(format!("{name}.{copies}{SUFFIX}"));
    }
    fs::rename(path, &place).map_err(|e| Error::io("set a damaged file aside", path, e))?;
    Ok(place)
}

/// The name that a file had before it was moved aside; `None` if it was not.
pub(crate) fn name_before(place: &Path) -> Option<&str> {
    let name = place.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    match name.rsplit_once('.') {
        Some((before, copy)) if copy.chars().all(|c| c.is_ascii_digit()) => Some(before),
        _ => Some(name),
    }
}
