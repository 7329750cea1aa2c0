//! The part files of a model at one moment, as the journal of what is being replaced has it.

use driftline_core::{Error, ErrorKind, Result};

use crate::journal::Journal;
use crate::layout::Layout;
use crate::part::{PartFile, Section};

/// How often the folders are listed until nobody has changed them meanwhile.
const LISTINGS: usize = 100;

impl Layout {
    /// The part files of the sections that `wanted` selects, in order of section and name. The caller holds the lock.
    pub(crate) fn parts(&self, wanted: impl Fn(Section) -> bool) -> Result<Vec<PartFile>> {
        let mut parts = self.listed(&wanted)?;
        Journal::read(self)?.apply(self, wanted, &mut parts);
        Ok(parts)
    }

    /// [`parts`](Self::parts) as they were at one moment, also while somebody writes.
    pub(crate) fn snapshot(&self, wanted: impl Fn(Section) -> bool) -> Result<Vec<PartFile>> {
        let mut parts = self.listed(&wanted)?;
        for _ in 0..LISTINGS {
            let journal = Journal::read(self)?;
            let again = self.listed(&wanted)?;
            if parts == again {
                journal.apply(self, wanted, &mut parts);
                return Ok(parts);
            }
            parts = again;
        }
        let message = format!("its files changed during each of {LISTINGS} listings");
        Err(Error::new(ErrorKind::Resource, "list the store", message)
            .with("folder", self.folder().display())
            .retryable())
    }
}
