//! When a request may go out: Fiddler's documented quotas, and the wait before a repetition.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use driftline_core::{Error, ErrorKind, Result};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// How soon a wait notices that it should end.
const SLICE: Duration = Duration::from_millis(50);

/// Requests of one sort that a server accepts.
#[derive(Debug)]
pub(crate) struct Quota {
    per_second: usize,
    per_minute: usize,
    sent: VecDeque<Instant>,
}

impl Quota {
    /// 30 a second and 1,000 a minute.
    pub(crate) fn reads() -> Self {
        Self::new(30, 1_000)
    }

    /// 10 a second and 300 a minute.
    pub(crate) fn writes() -> Self {
        Self::new(10, 300)
    }

    fn new(per_second: usize, per_minute: usize) -> Self {
        Self {
            per_second,
            per_minute,
            sent: VecDeque::with_capacity(per_minute),
        }
    }

    /// Notes a request, and returns how long it must wait from `now`.
    pub(crate) fn book(&mut self, now: Instant) -> Duration {
        let mut at = now;
        for (most, span) in [(self.per_second, SECOND), (self.per_minute, MINUTE)] {
            let nth = self.sent.len().checked_sub(most);
            if let Some(earlier) = nth.and_then(|nth| self.sent.get(nth)) {
                at = at.max(*earlier + span);
            }
        }
        if self.sent.len() == self.per_minute {
            self.sent.pop_front();
        }
        self.sent.push_back(at);
        at - now
    }
}

/// The wait before repetition `attempt`, from 1: anything up to a bound that doubles ("full jitter"), so that many
/// clients do not come back at once.
pub(crate) fn backoff(attempt: u32) -> Duration {
    let bound = FIRST_WAIT
        .saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)))
        .min(LONGEST_WAIT);
    // The standard library's only source of chance.
    let chance = RandomState::new().build_hasher().finish();
    bound.mul_f64((chance as f64 / u64::MAX as f64).max(0.05))
}

/// Tells waits to end early.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn set(&self, stop: bool) {
        self.0.store(stop, Ordering::Relaxed);
    }

    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            return Err(Error::new(
                ErrorKind::Interrupted,
                "deliver rows",
                "the delivery was stopped",
            ));
        }
        Ok(())
    }

    /// Waits, or returns `Interrupted`.
    pub(crate) fn sleep(&self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(SLICE));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_and_no_minute_has_more_than_its_quota() {
        for (quota, per_second, per_minute) in
            [(Quota::writes(), 10, 300), (Quota::reads(), 30, 1_000)]
        {
            let mut quota = quota;
            let start = Instant::now();
            // Everything is asked for at once.
            let times: Vec<Duration> = (0..2 * per_minute).map(|_| quota.book(start)).collect();
            for (most, span) in [(per_second, SECOND), (per_minute, MINUTE)] {
                for pair in times.windows(most + 1) {
                    assert!(pair[most] - pair[0] >= span, "{pair:?}");
                }
            }
            assert!(times[per_second - 1].is_zero());
            assert_eq!(times[per_second], SECOND);
        }
    }

    #[test]
    fn waits_grow_to_a_bound() {
        for attempt in 1..100 {
            let wait = backoff(attempt);
            assert!(wait <= FIRST_WAIT * 2_u32.pow((attempt - 1).min(10)));
            assert!(wait > Duration::ZERO && wait <= LONGEST_WAIT);
        }
    }

    #[test]
    fn a_wait_ends_when_it_is_told() {
        let stop = Stop::default();
        stop.sleep(Duration::from_millis(1)).unwrap();
        stop.set(true);
        let error = stop.sleep(Duration::from_secs(3_600)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
    }
}
