//! The memory that images are decoded in, shared by all threads of the process.
//!
//! A file of a few hundred bytes may hold an image of half a gigabyte, and there are as many decoders as threads: each
//! reserves what it will need first, and waits until the others leave room for it.

use std::sync::{Condvar, Mutex, PoisonError};

const MIB: u64 = 1 << 20;
/// What all decoders may hold together, and so the most that one image may need.
const LIMIT: u64 = 600 * MIB;

static USED: Mutex<u64> = Mutex::new(0);
static FREED: Condvar = Condvar::new();

/// Memory that is set aside until this is dropped.
#[derive(Debug)]
pub(crate) struct Reserved(u64);

/// Waits until `bytes` are free, and takes them. A thread that holds some must not ask for more.
pub(crate) fn reserve(bytes: u64) -> Result<Reserved, String> {
    if bytes > LIMIT {
        return Err(format!(
            "the image is too large: decoding it takes {} MiB of memory, more than the limit of {} MiB",
            bytes.div_ceil(MIB),
            LIMIT / MIB
        ));
    }
    let mut used = USED.lock().unwrap_or_else(PoisonError::into_inner);
    while *used + bytes > LIMIT {
        used = FREED.wait(used).unwrap_or_else(PoisonError::into_inner);
    }
    *used += bytes;
    Ok(Reserved(bytes))
}

impl Drop for Reserved {
    fn drop(&mut self) {
        *USED.lock().unwrap_or_else(PoisonError::into_inner) -= self.0;
        FREED.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn no_more_than_the_limit_is_held_at_a_time() {
        let held = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        let reserved = reserve(LIMIT / 3).unwrap();
                        assert!(held.fetch_add(1, Ordering::SeqCst) < 3);
                        std::thread::yield_now();
                        held.fetch_sub(1, Ordering::SeqCst);
                        drop(reserved);
                    }
                });
            }
        });
        let refused = reserve(LIMIT + 1).unwrap_err();
        assert!(refused.contains("limit of 600 MiB"), "{refused}");
    }
}
