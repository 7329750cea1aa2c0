//! Threads that work on one thing together.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle, Thread};

use crate::meeting::Meeting;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, spin_until};

/// One of `of` workers on the same thing, and the place where they wait for each other.
///
/// Of every layer a worker makes the same range of channels, and what only needs those goes on without a meeting.
pub(crate) struct Share<'a> {
    index: usize,
    of: usize,
    turns: Cell<usize>,
    meeting: &'a Meeting,
}

impl Share<'_> {
    /// This worker's part of `0..total`, in whole units.
    pub(crate) fn part(&self, total: usize) -> Range<usize> {
        total * self.index / self.of..total * (self.index + 1) / self.of
    }

    /// Whether this worker does what only one has to do.
    pub(crate) fn is_first(&self) -> bool {
        self.index == 0
    }

    /// All of the work.
    pub(crate) fn alone(&self) -> Self {
        Self {
            index: 0,
            of: 1,
            turns: Cell::new(0),
            meeting: self.meeting,
        }
    }

    /// 0 and 1 by turns, the same for all workers: which of two areas to write, while another worker may still read the one
    /// before. Alone one area is enough, and stays in the cache.
    pub(crate) fn turn(&self) -> usize {
        self.turns.set((self.turns.get() + 1) % self.of.min(2));
        self.turns.get()
    }

    /// Returns when all workers have called it.
    pub(crate) fn wait(&self) {
        if self.of > 1 {
            self.meeting.wait(self.of);
        }
    }
}

type Job<'a> = dyn Fn(usize) + Sync + 'a;

struct Shared {
    /// What to do; set before `round` is raised, and valid until `busy` is zero again.
    job: Mutex<Option<&'static Job<'static>>>,
    round: AtomicUsize,
    busy: AtomicUsize,
    /// Who waits for `busy` to become zero.
    caller: Mutex<Option<Thread>>,
    stop: AtomicBool,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    meeting: Meeting,
}

/// Threads that wait for work; the thread that hands it out is one of them.
pub(crate) struct Team {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Team {
    /// Starts `size - 1` threads.
    pub(crate) fn new(size: usize) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            job: Mutex::new(None),
            round: AtomicUsize::new(0),
            busy: AtomicUsize::new(0),
            caller: Mutex::new(None),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
            meeting: Meeting::new(),
        });
        let mut team = Self {
            shared,
            threads: Vec::with_capacity(size),
        };
        for worker in 1..size {
            let shared = team.shared.clone();
            team.threads.push(
                thread::Builder::new()
                    .name(format!("kernels-{worker}"))
                    .spawn(move || shared.work(worker))?,
            );
        }
        Ok(team)
    }

    /// Threads, with the one that calls.
    pub(crate) fn size(&self) -> usize {
        self.threads.len() + 1
    }

    /// Calls `job` once for each worker, with its number, and returns when all are done.
    pub(crate) fn run(&mut self, job: &(dyn Fn(usize) + Sync)) {
        let shared = &*self.shared;
        // SAFETY: workers use the reference only until they count themselves out of `busy`, for which this call waits.
        let job_of_all = unsafe { std::mem::transmute::<&Job<'_>, &'static Job<'static>>(job) };
        *shared.job.lock().unwrap_or_else(PoisonError::into_inner) = Some(job_of_all);
        *shared.caller.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current());
        shared.busy.store(self.threads.len(), Ordering::Relaxed);
        shared.round.fetch_add(1, Ordering::Release);
        for thread in &self.threads {
            thread.thread().unpark();
        }
        shared.call(job, 0);
        let done = || shared.busy.load(Ordering::Acquire) == 0;
        if !spin_until(done) {
            while !done() {
                thread::park();
            }
        }
        let panic = shared
            .panic
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(panic) = panic {
            shared.meeting.mend();
            resume_unwind(panic);
        }
    }

    /// As [`Self::run`], with all workers on the same thing.
    pub(crate) fn together(&mut self, job: &(dyn Fn(&Share<'_>) + Sync)) {
        let (shared, of) = (self.shared.clone(), self.size());
        self.run(&|index| {
            job(&Share {
                index,
                of,
                turns: Cell::new(0),
                meeting: &shared.meeting,
            });
        });
    }

    /// As [`Self::run`], with each worker on things of its own.
    pub(crate) fn apart(&mut self, job: &(dyn Fn(usize, &Share<'_>) + Sync)) {
        let shared = self.shared.clone();
        self.run(&|worker| {
            job(
                worker,
                &Share {
                    index: 0,
                    of: 1,
                    turns: Cell::new(0),
                    meeting: &shared.meeting,
                },
            );
        });
    }
}

impl Shared {
    fn call(&self, job: &Job<'_>, worker: usize) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| job(worker))) {
            self.meeting.break_up();
            self.panic
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(panic);
        }
    }

    fn work(&self, worker: usize) {
        let mut round = 0;
        loop {
            let called =
                || self.round.load(Ordering::Acquire) != round || self.stop.load(Ordering::Acquire);
            if !spin_until(called) {
                while !called() {
                    thread::park();
                }
            }
            if self.stop.load(Ordering::Acquire) {
                return;
            }
            round = self.round.load(Ordering::Acquire);
            let job = *self.job.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(job) = job {
                self.call(job, worker);
            }
            if self.busy.fetch_sub(1, Ordering::AcqRel) == 1 {
                let caller = self.caller.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(caller) = &*caller {
                    caller.unpark();
                }
            }
        }
    }
}

impl Drop for Team {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            // A worker catches what its work throws, so that there is nothing to learn from it.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[test]
    fn workers_meet_and_divide_what_there_is() {
        for size in [1, 2, 5] {
            let mut team = Team::new(size).expect("threads");
            let sums: Vec<AtomicU32> = (0..100).map(|_| AtomicU32::new(0)).collect();
            for _ in 0..200 {
                team.together(&|share| {
                    for at in share.part(sums.len()) {
                        sums[at].fetch_add(1, Ordering::Relaxed);
                    }
                    share.wait();
                    let first = sums[0].load(Ordering::Relaxed);
                    assert!(sums.iter().all(|sum| sum.load(Ordering::Relaxed) == first));
                    share.wait();
                });
            }
            assert!(sums.iter().all(|sum| sum.load(Ordering::Relaxed) == 200));
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let mut team = Team::new(3).expect("threads");
        for panicking in 0..3 {
            let call = AssertUnwindSafe(|| {
                team.together(&|share| {
                    assert!(share.index != panicking, "on purpose");
                    share.wait();
                });
            });
            assert!(catch_unwind(call).is_err());
            let calls = AtomicUsize::new(0);
            team.apart(&|_, _| {
                calls.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(calls.into_inner(), 3);
        }
    }
}
