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

/// Meetings, each after a worker has written its cell and before it reads all others'.
fn cells_are_seen_after_a_meeting(workers: usize, rounds: usize) {
    let mut model = loom::model::Builder::new();
    // Of three workers that spin there is no end of orders: those in which a worker is interrupted at most twice.
    model.preemption_bound = (workers > 2).then_some(2);
    model.max_branches = 100_000;
    model.check(move || {
        let shared = Arc::new((
            Meeting::new(),
            (0..workers)
                .map(|_| UnsafeCell::new(0_usize))
                .collect::<Vec<_>>(),
        ));
        let work = move |shared: &(Meeting, Vec<UnsafeCell<usize>>), worker: usize| {
            let (meeting, cells) = shared;
            for round in 1..=rounds {
                // SAFETY: only this worker writes it, and nobody reads it before the meeting; the model checks that.
                cells[worker].with_mut(|cell| unsafe { *cell = round });
                meeting.wait(workers);
                for cell in cells {
                    // SAFETY: everybody wrote before the meeting, and writes again only after the next.
                    assert_eq!(cell.with(|cell| unsafe { *cell }), round);
                }
                meeting.wait(workers);
            }
        };
        let threads: Vec<_> = (1..workers)
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
fn two_workers_meet_many_times() {
    cells_are_seen_after_a_meeting(2, 2);
}

#[test]
fn three_workers_meet() {
    cells_are_seen_after_a_meeting(3, 1);
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
