//! Tells the worker that there is new work, and that there will be no more.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Rung when work was put into the queue.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    closed: bool,
}

impl Bell {
    /// Something may have been put into the queue.
    pub(super) fn ring(&self) {
        self.signal(|state| state.rung = true);
    }

    /// Whoever listens ends after the work in hand.
    pub(crate) fn close(&self) {
        self.signal(|state| state.closed = true);
    }

    /// Whether [`close`](Self::close) was called.
    pub(crate) fn is_closed(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.closed
    }

    /// Waits until it is rung or closed, at most `longest`.
    pub(crate) fn wait(&self, longest: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |state: &mut State| !state.rung && !state.closed;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, longest, idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.rung = false;
    }

    /// Waits for `pause`, or until it is closed.
    pub(crate) fn pause(&self, pause: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open = |state: &mut State| !state.closed;
        let _either = self.changed.wait_timeout_while(state, pause, open);
    }

    fn signal(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }
}
