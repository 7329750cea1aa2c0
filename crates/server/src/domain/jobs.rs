//! Jobs: work that was accepted, and how it went.
//!
//! A job and its work are written in the transaction that the request is answered for.

use driftline_core::Result;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::catalog::{Documents, Kind, Unreadable};
use crate::domain::error::Told;
use crate::domain::work::Work;

/// Jobs, which outlive their work.
pub const JOB: Kind = Kind("job");

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

/// Accepts a job, inside the transaction that the request is answered for. When that is kept, the worker hears of it.
///
/// With a `key`, a job that was accepted under the same key is returned in its place: a request that a client sent twice
/// is done once. If that job failed, it is put into the queue again under its old id.
pub fn submit(
    documents: &Documents<'_>,
    name: &str,
    key: Option<&str>,
    work: &Work,
) -> Result<Job> {
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
) -> Result<Job> {
    let job = Job::new(id, name);
    documents.insert(JOB, job.id, key, &job)?;
    documents.enqueue(job.id, work, &work.uploads())?;
    Ok(job)
}

/// Takes work that cannot be read out of the queue, and has its job fail.
pub(crate) fn set_aside(documents: &Documents<'_>, entry: &Unreadable) -> Result<()> {
    documents.set_work_aside(entry)?;
    if let Some(id) = entry.job {
        let told = Told {
            reason: "UnreadableWork",
            message: format!(
                "{}; it was set aside, and what it should do must be asked for again",
                entry.problem
            ),
        };
        end(documents, id, Err(told))?;
    }
    Ok(())
}

/// The document of a job of the queue. One that is lost or cannot be read is made anew, so that the work is done.
pub(crate) fn document(documents: &Documents<'_>, id: Uuid) -> Result<Job> {
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
pub(crate) fn end(
    documents: &Documents<'_>,
    id: Uuid,
    outcome: Result<(), Told>,
) -> Result<Status> {
    let mut job = document(documents, id)?;
    job.progress = 100.0;
    job.finished_at = Some(Timestamp::now());
    match outcome {
        Ok(()) => job.status = Status::Success,
        Err(told) => {
            job.status = Status::Failure;
            job.error_reason = Some(told.reason.to_owned());
            job.error_message = Some(told.message);
        }
    }
    documents.replace(JOB, id, &job)?;
    Ok(job.status)
}
