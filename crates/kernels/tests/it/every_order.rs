//! The meeting point of a team in every order in which the steps of its workers can follow each other, by a model of threads
//! and of what each of them sees of memory.

use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

mod sync {
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    pub(crate) fn wait_until(done: impl Fn() -> bool) {
        while !done() {
            loom::thread::yield_now();
        }
    }
}

#[path = "../../src/meeting.rs"]
mod meeting;

use meeting::Meeting;

/// With three workers the model does not finish: one that spins can be interrupted any number of times.
const WORKERS: usize = 2;
const ROUNDS: usize = 2;

/// Each writes its cell before a meeting, and reads all others' after it.
#[test]
fn cells_are_seen_after_a_meeting() {
    loom::model(|| {
        let shared = Arc::new((
            Meeting::new(),
            (0..WORKERS)
                .map(|_| UnsafeCell::new(0_usize))
                .collect::<Vec<_>>(),
        ));
        let work = |shared: &(Meeting, Vec<UnsafeCell<usize>>), worker: usize| {
            let (meeting, cells) = shared;
            for round in 1..=ROUNDS {
                // SAFETY: only this worker writes it, and nobody reads it before the meeting; the model checks that.
                cells[worker].with_mut(|cell| unsafe { *cell = round });
                meeting.wait(WORKERS);
                for cell in cells {
                    // SAFETY: everybody wrote before the meeting, and writes again only after the next.
                    assert_eq!(cell.with(|cell| unsafe { *cell }), round);
                }
                meeting.wait(WORKERS);
            }
        };
        let threads: Vec<_> = (1..WORKERS)
            .map(|worker| {
                let shared = shared.clone();
                thread::spawn(move || work(&shared, worker))
            })
            .collect();
        work(&shared, 0);
        for thread in threads {
            thread.join().expect("a worker");
        }
    });
}

#[test]
fn nobody_waits_for_a_worker_that_panicked() {
    loom::model(|| {
        let meeting = Arc::new(Meeting::new());
        let waiting = {
            let meeting = meeting.clone();
            thread::spawn(move || catch_unwind(AssertUnwindSafe(|| meeting.wait(2))).is_err())
        };
        meeting.break_up();
        assert!(
            waiting.join().expect("a worker"),
            "the meeting must not be held"
        );
        // As new, it is held again.
        meeting.mend();
        let other = {
            let meeting = meeting.clone();
            thread::spawn(move || meeting.wait(2))
        };
        meeting.wait(2);
        other.join().expect("a worker");
    });
}
