//! Where the workers of a team wait for each other.

use super::sync::{AtomicBool, AtomicUsize, Ordering, wait_until};

/// A barrier that is passed many times.
pub(crate) struct Meeting {
    arrived: AtomicUsize,
    passed: AtomicUsize,
    broken: AtomicBool,
}

impl Meeting {
    /// One that nobody has come to.
    pub(crate) fn new() -> Self {
        Self {
            arrived: AtomicUsize::new(0),
            passed: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// Returns when `workers` have called it.
    ///
    /// # Panics
    /// If the meeting is broken: somebody will not come.
    pub(crate) fn wait(&self, workers: usize) {
        let passed = self.passed.load(Ordering::Acquire);
        if self.arrived.fetch_add(1, Ordering::AcqRel) + 1 == workers {
            self.arrived.store(0, Ordering::Relaxed);
            self.passed.store(passed.wrapping_add(1), Ordering::Release);
        } else {
            wait_until(|| {
                self.passed.load(Ordering::Acquire) != passed || self.broken.load(Ordering::Acquire)
            });
        }
        assert!(
            !self.broken.load(Ordering::Acquire),
            "another worker panicked"
        );
    }

    /// Lets nobody wait for a worker that panicked.
    pub(crate) fn break_up(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// As new. Nobody may be waiting.
    pub(crate) fn mend(&self) {
        self.broken.store(false, Ordering::Release);
        self.arrived.store(0, Ordering::Release);
    }
}
