//! The durable queue and its one worker.
//!
//! A job and its work are written in the transaction that the request is answered for; the worker takes them in that
//! order, and takes them up again after a crash. Work may therefore run twice, and doing it twice is the same as once.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::App;
use crate::domain::alerts;
use crate::domain::catalog::{Documents, Kind, Queued, Unreadable};
use crate::domain::housekeeping;
use crate::domain::ingest::Work;
use crate::domain::objects;
use crate::http::envelope::{Answer, ApiError};
use crate::http::observe::Outcome;

/// Jobs, which outlive their work.
pub const JOB: Kind = Kind("job");

/// How often work is tried whose failure may pass, such as a full disk, before its job fails.
const TRIES: u32 = 8;
/// How often a job may end the worker before it fails.
const PANICS: u32 = 3;
/// How often a worker without work shows that it is alive, at least.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The pause before a worker that failed goes on.
const RESTART: Duration = Duration::from_secs(1);

/// Where a job is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// It waits.
    Pending,
    /// It runs.
    Started,
    /// It is done.
    Success,
    /// It could not be done; nothing of it was kept.
    Failure,
}

/// A job, as it is kept and as clients see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// What it does, for people.
    pub name: String,
    /// Where it is.
    pub status: Status,
    /// 0 to 100.
    pub progress: f64,
    /// Why it failed, in a word.
    pub error_reason: Option<String>,
    /// Why it failed, in a sentence.
    pub error_message: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
}

impl Job {
    /// A job that waits.
    fn new(id: Uuid, name: &str) -> Self {
        Self {
            id,
            name: name.to_owned(),
            status: Status::Pending,
            progress: 0.0,
            error_reason: None,
            error_message: None,
            created_at: Timestamp::now(),
            finished_at: None,
        }
    }
}

/// Accepts a job, inside the transaction that the request is answered for. Through [`App::change`] the worker hears of it.
///
/// With a `key`, a job that was accepted under the same key is returned in its place: a request that a client sent twice
/// is done once. If that job failed, it is put into the queue again under its old id.
pub fn submit(
    documents: &Documents<'_>,
    name: &str,
    key: Option<&str>,
    work: &Work,
) -> Answer<Job> {
    let there: Option<Job> = match key {
        Some(key) => documents.by_key(JOB, key)?,
        None => None,
    };
    if let Some(mut job) = there {
        if job.status == Status::Failure {
            job.status = Status::Pending;
            job.progress = 0.0;
            (job.error_reason, job.error_message) = (None, None);
            job.finished_at = None;
            documents.replace(JOB, job.id, &job)?;
            documents.enqueue(job.id, work, &work.uploads())?;
        }
        return Ok(job);
    }
    submit_as(documents, Uuid::new_v4(), name, key, work)
}

/// Accepts a job whose id was chosen before; its key must be free.
pub(crate) fn submit_as(
    documents: &Documents<'_>,
    id: Uuid,
    name: &str,
    key: Option<&str>,
    work: &Work,
) -> Answer<Job> {
    let job = Job::new(id, name);
    documents.insert(JOB, job.id, key, &job)?;
    documents.enqueue(job.id, work, &work.uploads())?;
    Ok(job)
}

/// Wakes and stops the worker, and knows how it is.
#[derive(Debug, Default)]
pub struct Jobs {
    state: Mutex<State>,
    changed: Condvar,
    pulse: Mutex<Pulse>,
    /// How often the worker panics between two jobs.
    #[cfg(test)]
    pub(crate) faults: std::sync::atomic::AtomicU32,
}

#[derive(Debug, Default)]
struct State {
    news: bool,
    stop: bool,
}

/// What the worker last showed of itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pulse {
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

impl Default for Pulse {
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

impl Jobs {
    /// Something may have been put into the queue.
    pub(crate) fn wake(&self) {
        self.signal(|state| state.news = true);
    }

    /// The worker ends after the job that it has in hand.
    pub(crate) fn stop(&self) {
        self.signal(|state| state.stop = true);
    }

    /// How the worker is.
    pub(crate) fn pulse(&self) -> Pulse {
        *self.pulse.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn signal(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// Waits for `wake`, at most `longest`.
    fn rest(&self, longest: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = |state: &mut State| !state.news && !state.stop;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, longest, idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.news = false;
    }

    /// Waits for `pause`, or for `stop`.
    fn pause(&self, pause: Duration) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let going_on = |state: &mut State| !state.stop;
        let _either = self.changed.wait_timeout_while(state, pause, going_on);
    }

    fn stopped(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stop
    }

    fn show(&self, change: impl FnOnce(&mut Pulse)) {
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        pulse.last = Instant::now();
        change(&mut pulse);
    }
}

/// The running worker.
#[derive(Debug)]
pub(crate) struct Worker(JoinHandle<()>);

impl Worker {
    /// Waits for the worker's end, but not longer than `longest`.
    pub(crate) fn join_within(self, longest: Duration) {
        let deadline = Instant::now() + longest;
        while !self.0.is_finished() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Shows that the worker's thread has ended, however it did.
struct Alive<'a>(&'a Jobs);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.show(|pulse| pulse.alive = false);
    }
}

/// The job in hand, so that one that ends the worker each time is not taken for ever.
#[derive(Debug, Default)]
struct Hand {
    job: Option<Uuid>,
    panics: u32,
}

/// Starts the worker. One that panics is started again after a pause.
pub(crate) fn start(app: App) -> io::Result<Worker> {
    let thread = std::thread::Builder::new().name("jobs".to_owned());
    thread
        .spawn(move || {
            let _until_the_end = Alive(&app.jobs);
            app.jobs.show(|pulse| pulse.alive = true);
            match catch_unwind(AssertUnwindSafe(|| objects::complete(&app))) {
                Ok(Ok(())) => {}
                Ok(Err(ApiError { message, .. })) => {
                    tracing::error!(message, "the store does not have every model");
                }
                Err(_) => tracing::error!("the store may not have every model"),
            }
            let mut hand = Hand::default();
            while catch_unwind(AssertUnwindSafe(|| turns(&app, &mut hand))).is_err() {
                hand.panics += 1;
                app.jobs.show(|pulse| {
                    pulse.sound = false;
                    pulse.job_since = None;
                    pulse.restarts += 1;
                });
                app.observed.worker_restarts.inc();
                tracing::error!(job = ?hand.job, "the worker panicked and is started again");
                app.jobs.pause(RESTART);
            }
        })
        .map(Worker)
}

/// The oldest work of the queue. What cannot be read is passed over: it is set aside, and its job fails.
fn next_work(app: &App) -> Answer<Option<(Uuid, Work)>> {
    loop {
        match app.catalog.read(|documents| documents.next_work())? {
            None => return Ok(None),
            Some(Queued::Work(id, work)) => return Ok(Some((id, work))),
            Some(Queued::Unreadable(entry)) => {
                tracing::error!(job = ?entry.job, problem = entry.problem, "work is set aside");
                app.catalog
                    .change(|documents| set_aside(documents, &entry))?;
                count(app, Status::Failure);
            }
        }
    }
}

/// Does the queue's work until the worker is told to stop.
fn turns(app: &App, hand: &mut Hand) {
    while !app.jobs.stopped() {
        #[cfg(test)]
        fault(&app.jobs);
        match next_work(app) {
            Ok(Some((id, work))) => {
                if hand.job != Some(id) {
                    *hand = Hand {
                        job: Some(id),
                        panics: 0,
                    };
                }
                app.jobs
                    .show(|pulse| pulse.job_since = Some(Instant::now()));
                run(app, id, &work, hand.panics);
                *hand = Hand::default();
                app.jobs.show(|pulse| {
                    pulse.sound = true;
                    pulse.job_since = None;
                });
            }
            Ok(None) => {
                app.jobs.show(|pulse| pulse.sound = true);
                app.jobs.rest(HEARTBEAT);
            }
            Err(error) => {
                tracing::error!(message = error.message, "the queue cannot be read");
                app.jobs.show(|pulse| pulse.sound = false);
                app.jobs.pause(RESTART);
            }
        }
    }
}

/// Takes work that cannot be read out of the queue, and has its job fail.
pub(crate) fn set_aside(documents: &Documents<'_>, entry: &Unreadable) -> Answer<()> {
    documents.set_work_aside(entry)?;
    if let Some(id) = entry.job {
        let error = ApiError {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            reason: "UnreadableWork",
            message: format!(
                "{}; it was set aside, and what it should do must be asked for again",
                entry.problem
            ),
        };
        end(documents, id, Err(error))?;
    }
    Ok(())
}

/// The document of a job of the queue. One that is lost or cannot be read is made anew, so that the work is done.
fn document(documents: &Documents<'_>, id: Uuid) -> Answer<Job> {
    match documents.get(JOB, id) {
        Ok(Some(job)) => return Ok(job),
        Ok(None) => {}
        // If it is the database that fails, this fails as well.
        Err(_) => {
            let problem = "the document of the job cannot be read";
            documents.set_document_aside(JOB.0, &id.to_string(), problem)?;
        }
    }
    let job = Job::new(id, "Recovered job");
    documents.insert(JOB, id, None, &job)?;
    Ok(job)
}

/// Writes down how a job ended.
pub(crate) fn end(documents: &Documents<'_>, id: Uuid, outcome: Answer<()>) -> Answer<Status> {
    let mut job = document(documents, id)?;
    job.progress = 100.0;
    job.finished_at = Some(Timestamp::now());
    match outcome {
        Ok(()) => job.status = Status::Success,
        Err(error) => {
            job.status = Status::Failure;
            job.error_reason = Some(error.reason.to_owned());
            job.error_message = Some(error.message);
        }
    }
    documents.replace(JOB, id, &job)?;
    Ok(job.status)
}

fn count(app: &App, status: Status) {
    let status = format!("{status:?}").to_lowercase();
    app.observed.jobs.get_or_create(&Outcome { status }).inc();
}

#[cfg(test)]
fn fault(jobs: &Jobs) {
    use std::sync::atomic::Ordering;
    let left = jobs
        .faults
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
            left.checked_sub(1)
        });
    assert!(left.is_err(), "a fault of the test");
}

fn run(app: &App, id: Uuid, work: &Work, panics: u32) {
    let mut tries = 0;
    loop {
        tries += 1;
        let outcome = if panics < PANICS {
            attempt(app, id, work)
        } else {
            Err(ApiError::internal("a job ends the worker each time"))
        };
        let passing = |error: &ApiError| error.status.as_u16() == 503;
        let outcome: Answer<()> = match outcome {
            Err(error) if passing(&error) && tries < TRIES => Err(error),
            outcome => match finish(app, id, work, outcome) {
                Ok(()) => return watch(app, work),
                // The work was done; doing it again, until that can be written down, changes nothing.
                Err(error) => Err(error),
            },
        };
        if let Err(error) = outcome {
            tracing::warn!(job = %id, message = error.message, "a job is tried again");
        }
        app.jobs
            .pause(Duration::from_millis(250) * 2_u32.pow(tries.min(7)));
        if app.jobs.stopped() {
            return;
        }
    }
}

/// Holds alert rules against the rows that changed. What fails here is done when records are asked for.
fn watch(app: &App, work: &Work) {
    let Some(model) = work.changes() else {
        return;
    };
    let watched = catch_unwind(AssertUnwindSafe(|| alerts::evaluate_model(app, model)));
    if !matches!(watched, Ok(Ok(()))) {
        tracing::warn!(%model, "alert rules could not be held against new rows");
    }
}

fn attempt(app: &App, id: Uuid, work: &Work) -> Answer<()> {
    let job = app.catalog.change(|documents| {
        let mut job = document(documents, id)?;
        job.status = Status::Started;
        job.progress = 50.0;
        documents.replace(JOB, id, &job)?;
        Ok(job)
    })?;
    catch_unwind(AssertUnwindSafe(|| work.run(app, &job)))
        .unwrap_or_else(|_| Err(ApiError::internal("a job panicked")))
}

fn finish(app: &App, id: Uuid, work: &Work, outcome: Answer<()>) -> Answer<()> {
    let status = app.catalog.change(|documents| {
        documents.dequeue(id)?;
        end(documents, id, outcome)
    })?;
    tracing::info!(job = %id, ?status, "a job is finished");
    if status == Status::Success {
        for file in work.uploads() {
            // What is left behind is removed when it is old.
            if let Err(error) = housekeeping::remove_unneeded(app, file) {
                tracing::warn!(%file, message = error.message, "an upload stays behind");
            }
        }
    }
    count(app, status);
    Ok(())
}
