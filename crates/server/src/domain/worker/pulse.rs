//! How the worker is.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What the worker last showed of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    /// Whether its thread runs.
    pub(crate) alive: bool,
    /// Whether its last turn, a job or a look at the queue, went as it should.
    pub(crate) sound: bool,
    /// The last sign of life.
    pub(crate) last: Instant,
    /// Since when it has been at the job in hand.
    pub(crate) job_since: Option<Instant>,
    /// How often it panicked and was started again.
    pub(crate) restarts: u64,
}

impl Default for Beat {
    fn default() -> Self {
        Self {
            alive: false,
            sound: false,
            last: Instant::now(),
            job_since: None,
            restarts: 0,
        }
    }
}

/// Where the worker shows how it is.
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    beat: Mutex<Beat>,
    /// How often the worker panics between two jobs.
    #[cfg(test)]
    pub(crate) faults: std::sync::atomic::AtomicU32,
}

impl Pulse {
    /// What was shown last.
    pub(crate) fn beat(&self) -> Beat {
        *self.beat.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn show(&self, change: impl FnOnce(&mut Beat)) {
        let mut beat = self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        beat.last = Instant::now();
        change(&mut beat);
    }
}
