//! Progress and cancellation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use driftline_core::{Error, ErrorKind, Result};

/// Receives the progress of the work. Calls may come from several threads.
pub trait Progress: Sync {
    /// A stage begins; it will pass over `rows` rows.
    fn begin(&self, stage: &str, rows: u64);
    /// `rows` more rows of the stage are done.
    fn advance(&self, rows: u64);
    /// The stage is over.
    fn end(&self);
    /// Something the user should know, in one line.
    fn note(&self, line: &str);
}

/// Nobody listens.
impl Progress for () {
    fn begin(&self, _: &str, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self) {}
    fn note(&self, _: &str) {}
}

/// A request to stop, shared between threads and signal handlers.
#[derive(Debug, Clone, Default)]
pub struct Cancel(Arc<AtomicBool>);

impl Cancel {
    /// Asks to stop.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// An error of kind [`ErrorKind::Interrupted`] once a stop was asked for.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(
                ErrorKind::Interrupted,
                "run",
                "stopped on request",
            ));
        }
        Ok(())
    }
}
