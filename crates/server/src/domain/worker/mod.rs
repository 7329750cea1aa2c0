//! The one worker, which does the work of the queue.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `pulse` | [`Pulse`]: how the worker is |
//!
//! It takes work in the order in which it was accepted, and takes it up again after a crash. Work may therefore run twice,
//! and doing it twice is the same as once.

mod pulse;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use driftline_core::Result;
use uuid::Uuid;

use crate::domain::alerts;
use crate::domain::catalog::{Bell, Catalog, Queued};
use crate::domain::discovery;
use crate::domain::error::{self, may_pass, told};
use crate::domain::housekeeping;
use crate::domain::ingest::Ingest;
use crate::domain::jobs::{self, JOB, Status};
use crate::domain::queries::Counts;
use crate::domain::tally::{Outcome, Tally};
use crate::domain::uploads::Uploads;
use crate::domain::work::Work;

pub(crate) use pulse::{Beat, Pulse};

/// How often work is tried whose failure may pass, such as a full disk, before its job fails.
const TRIES: u32 = 8;
/// How often a job may end the worker before it fails.
const PANICS: u32 = 3;
/// How often a worker without work shows that it is alive, at least.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The pause before a worker that failed goes on.
const RESTART: Duration = Duration::from_secs(1);

/// The running worker.
#[derive(Debug)]
pub(crate) struct Running(JoinHandle<()>);

impl Running {
    /// Waits for the worker's end, but not longer than `longest`.
    pub(crate) fn join_within(self, longest: Duration) {
        let deadline = Instant::now() + longest;
        while !self.0.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Shows that the worker's thread has ended, however it did.
struct Alive<'a>(&'a Pulse);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.show(|beat| beat.alive = false);
    }
}

/// The job in hand, so that one that ends the worker each time is not taken for ever.
#[derive(Debug, Default)]
struct Hand {
    job: Option<Uuid>,
    panics: u32,
}

/// Does the work of the queue until the catalog's bell is closed.
#[derive(Debug)]
pub(crate) struct Worker {
    store: PathBuf,
    catalog: Arc<Catalog>,
    uploads: Arc<Uploads>,
    counts: Arc<Counts>,
    ingest: Ingest,
    tally: Tally,
    bell: Arc<Bell>,
    pulse: Arc<Pulse>,
}

impl Worker {
    /// Of the store at `store`.
    pub(crate) fn new(
        store: PathBuf,
        catalog: Arc<Catalog>,
        uploads: Arc<Uploads>,
        counts: Arc<Counts>,
        tally: Tally,
        pulse: Arc<Pulse>,
    ) -> Self {
        Self {
            ingest: Ingest::new(
                store.clone(),
                Arc::clone(&catalog),
                Arc::clone(&uploads),
                tally.clone(),
            ),
            bell: catalog.bell(),
            store,
            catalog,
            uploads,
            counts,
            tally,
            pulse,
        }
    }

    /// Starts the worker in a thread of its own. One that panics is started again after a pause.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(crate) fn start(self) -> io::Result<Running> {
        let thread = std::thread::Builder::new().name("jobs".to_owned());
        thread.spawn(move || self.run()).map(Running)
    }

    fn run(&self) {
        let _until_the_end = Alive(&self.pulse);
        self.pulse.show(|beat| beat.alive = true);
        let complete = || discovery::complete(&self.store, &self.catalog);
        match catch_unwind(AssertUnwindSafe(complete)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(
                    message = error.message(),
                    "the store does not have every model"
                );
            }
            Err(_) => tracing::error!("the store may not have every model"),
        }
        let mut hand = Hand::default();
        while catch_unwind(AssertUnwindSafe(|| self.turns(&mut hand))).is_err() {
            hand.panics += 1;
            self.pulse.show(|beat| {
                beat.sound = false;
                beat.job_since = None;
                beat.restarts += 1;
            });
            self.tally.worker_restarts.inc();
            tracing::error!(job = ?hand.job, "the worker panicked and is started again");
            self.bell.pause(RESTART);
        }
    }

    /// Does the queue's work until the worker is told to stop.
    fn turns(&self, hand: &mut Hand) {
        while !self.bell.is_closed() {
            #[cfg(test)]
            fault(&self.pulse);
            match self.next_work() {
                Ok(Some((id, work))) => {
                    if hand.job != Some(id) {
                        *hand = Hand {
                            job: Some(id),
                            panics: 0,
                        };
                    }
                    self.pulse
                        .show(|beat| beat.job_since = Some(Instant::now()));
                    self.work(id, &work, hand.panics);
                    *hand = Hand::default();
                    self.pulse.show(|beat| {
                        beat.sound = true;
                        beat.job_since = None;
                    });
                }
                Ok(None) => {
                    self.pulse.show(|beat| beat.sound = true);
                    self.bell.wait(HEARTBEAT);
                }
                Err(error) => {
                    tracing::error!(message = error.message(), "the queue cannot be read");
                    self.pulse.show(|beat| beat.sound = false);
                    self.bell.pause(RESTART);
                }
            }
        }
    }

    /// The oldest work of the queue. What cannot be read is passed over: it is set aside, and its job fails.
    fn next_work(&self) -> Result<Option<(Uuid, Work)>> {
        loop {
            match self.catalog.read(|documents| documents.next_work())? {
                None => return Ok(None),
                Some(Queued::Work(id, work)) => return Ok(Some((id, work))),
                Some(Queued::Unreadable(entry)) => {
                    tracing::error!(job = ?entry.job, problem = entry.problem, "work is set aside");
                    self.catalog
                        .change(|documents| jobs::set_aside(documents, &entry))?;
                    self.count(Status::Failure);
                }
            }
        }
    }

    fn work(&self, id: Uuid, work: &Work, panics: u32) {
        let mut tries = 0;
        loop {
            tries += 1;
            let outcome = if panics < PANICS {
                self.attempt(id, work)
            } else {
                Err(error::internal("a job ends the worker each time"))
            };
            let failure = match outcome {
                Err(error) if may_pass(&error) && tries < TRIES => error,
                outcome => match self.finish(id, work, outcome) {
                    Ok(()) => return self.watch(work),
                    // The work was done; doing it again, until that can be written down, changes nothing.
                    Err(error) => error,
                },
            };
            tracing::warn!(job = %id, message = failure.message(), "a job is tried again");
            self.bell
                .pause(Duration::from_millis(250) * 2_u32.pow(tries.min(7)));
            if self.bell.is_closed() {
                return;
            }
        }
    }

    /// Holds alert rules against the rows that changed. What fails here is done when records are asked for.
    fn watch(&self, work: &Work) {
        let Some(model) = work.changes() else {
            return;
        };
        let evaluate = || alerts::evaluate_model(&self.catalog, &self.counts, model);
        let watched = catch_unwind(AssertUnwindSafe(evaluate));
        if !matches!(watched, Ok(Ok(()))) {
            tracing::warn!(%model, "alert rules could not be held against new rows");
        }
    }

    fn attempt(&self, id: Uuid, work: &Work) -> Result<()> {
        let job = self.catalog.change(|documents| {
            let mut job = jobs::document(documents, id)?;
            job.status = Status::Started;
            job.progress = 50.0;
            documents.replace(JOB, id, &job)?;
            Ok(job)
        })?;
        catch_unwind(AssertUnwindSafe(|| self.ingest.perform(&job, work)))
            .unwrap_or_else(|_| Err(error::internal("a job panicked")))
    }

    fn finish(&self, id: Uuid, work: &Work, outcome: Result<()>) -> Result<()> {
        let outcome = outcome.map_err(|error| told(&error));
        let status = self.catalog.change(|documents| {
            documents.dequeue(id)?;
            jobs::end(documents, id, outcome)
        })?;
        tracing::info!(job = %id, ?status, "a job is finished");
        if status == Status::Success {
            for file in work.uploads() {
                // What is left behind is removed when it is old.
                let removed = housekeeping::remove_unneeded(&self.catalog, &self.uploads, file);
                if let Err(error) = removed {
                    tracing::warn!(%file, message = error.message(), "an upload stays behind");
                }
            }
        }
        self.count(status);
        Ok(())
    }

    fn count(&self, status: Status) {
        let status = format!("{status:?}").to_lowercase();
        self.tally.jobs.get_or_create(&Outcome { status }).inc();
    }
}

#[cfg(test)]
fn fault(pulse: &Pulse) {
    use std::sync::atomic::Ordering;
    let left = pulse
        .faults
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
            left.checked_sub(1)
        });
    assert!(left.is_err(), "a fault of the test");
}
