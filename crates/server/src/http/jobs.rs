//! A job as clients of all generations read it.

use serde_json::{Value, json};

use crate::domain::jobs::Job;

/// The object of a job.
pub(crate) fn job_object(job: &Job) -> Value {
    json!({
        "id": job.id,
        "uuid": job.id,
        "name": job.name,
        "info": {},
        "status": job.status,
        "progress": job.progress,
        "error_reason": job.error_reason,
        "error_message": job.error_message,
        "extras": {},
    })
}
