//! Atomic numbers, and waiting for them: what a meeting is made of, which a test replaces by a model.

use std::hint;
use std::thread;
use std::time::{Duration, Instant};

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How long a thread keeps its core while it waits: longer than another worker needs for a layer of one image, too short
/// to be in the way of another engine of the process.
const PATIENCE: Duration = Duration::from_micros(50);

/// Waits on the core until `done`, and says whether it was in time.
pub(crate) fn spin_until(done: impl Fn() -> bool) -> bool {
    let mut start = None;
    loop {
        // Reading the clock takes as long as some turns.
        for _ in 0..16 {
            if done() {
                return true;
            }
            hint::spin_loop();
        }
        if start.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            return false;
        }
    }
}

/// Waits until `done`, on the core at first, then off it.
pub(crate) fn wait_until(done: impl Fn() -> bool) {
    if !spin_until(&done) {
        while !done() {
            thread::yield_now();
        }
    }
}
