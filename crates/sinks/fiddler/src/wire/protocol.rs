//! What every generation of the interface does, and what both read in the same way.

use std::path::Path;

use driftline_core::{Error, ErrorKind, MonitorSpec, Result, RowSchema};
use driftline_fiddler_api::{Field, JobStatus};
use semver::Version;

use crate::answer::{Failed, shortened, unexpected};
use crate::batch::{Batch, Kind};

/// Bytes of one part of an upload in parts.
pub(super) const PART_BYTES: u64 = 100 << 20;

/// Who answers at an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its address.
    pub url: String,
    /// Generation of the interface: `v3` or `v2`.
    pub api: &'static str,
    /// Version of the server, like `25.2.0`.
    pub version: String,
    /// The organization that the token belongs to.
    pub organization: String,
    /// Tells this server from others, under whatever address.
    pub(crate) identity: String,
}

/// How a job of the server is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Job {
    Running,
    Done,
    /// With the server's reason.
    Failed(String),
    /// The server does not know it.
    Unknown,
}

/// One generation of the interface.
///
/// All methods may be called again after a crash: what is already there is taken as it is.
pub(crate) trait Wire: Send {
    /// Who answers. Refuses a server that is too old.
    fn greet(&mut self) -> Result<Server, Failed>;

    /// Makes the project if it is not there, and looks for the model; returns whether there is one.
    ///
    /// # Errors
    /// `InvalidConfig` naming the column, if the model has another schema; nothing was changed then.
    fn prepare(&mut self, monitor: &MonitorSpec) -> Result<bool, Failed>;

    /// Whether the server has the model, as far as is known here.
    fn has_model(&self) -> bool;

    /// Whether a model without a baseline is made from the first events.
    fn makes_model_from_events(&self) -> bool;

    /// Whether a batch of the baseline may be cut into several.
    fn takes_baseline_in_pieces(&self) -> bool;

    /// The rows of the largest upload of a kind, where `usual` are asked for.
    fn most_rows(&self, kind: Kind, usual: u64, schema: &RowSchema) -> u64;

    /// Does what must be done before a batch can be taken in. `scratch` is a file that may be overwritten.
    fn begin(&mut self, batch: &Batch, scratch: &Path) -> Result<(), Failed>;

    /// Sends the rows, and returns what the server calls them.
    fn upload(&mut self, batch: &Batch, scratch: &Path) -> Result<String, Failed>;

    /// Has the server take in what was uploaded, and returns its job, if there is one to wait for.
    fn ingest(&mut self, batch: &Batch, upload: &str) -> Result<Option<String>, Failed>;

    /// How a job is; `first` if it was not asked for before.
    fn job(&self, job: &str, first: bool) -> Result<Job, Failed>;

    /// Does what can be done only after the batch was taken in.
    fn end(&mut self, batch: &Batch) -> Result<(), Failed>;

    /// Waits a moment, or returns `Interrupted`.
    fn sleep(&self, duration: std::time::Duration) -> Result<()>;
}

/// Checks the version in a server's answer against the oldest that is spoken to.
pub(super) fn check_version(text: &str, oldest: Version, api: &str) -> Result<String> {
    let mut version = Version::parse(text).map_err(|cause| {
        unexpected(format!(
            "the server's version is `{}`, which is not a valid version",
            shortened(text)
        ))
        .because(cause)
    })?;
    version.pre = semver::Prerelease::EMPTY;
    if version < oldest {
        let message =
            format!("the server is too old: it has version {text}, {api} needs {oldest} or later");
        return Err(
            Error::new(ErrorKind::Unsupported, "ask Fiddler", message).remedy(if api == "V3" {
                "update the server, or set `api = \"v2\"`"
            } else {
                "update the server"
            }),
        );
    }
    Ok(text.to_owned())
}

pub(super) fn unprepared() -> Error {
    let message = "rows were delivered before the model was prepared";
    Error::new(ErrorKind::Internal, "deliver rows", message)
}

pub(crate) fn no_model(monitor: &MonitorSpec) -> Error {
    let message = format!(
        "the server has no model `{}` in the project `{}`, and there is no baseline to make it from",
        monitor.model, monitor.project
    );
    Error::new(ErrorKind::NotFound, "deliver rows", message)
        .remedy("publish a baseline first; what waits stays in the outbox")
}

/// What an answer about a job means. A job without a status that is known goes on.
pub(super) fn job_of(job: driftline_fiddler_api::Job) -> Job {
    let otherwise = match job.status {
        JobStatus::Success => return Job::Done,
        JobStatus::Failure => "the job failed without a reason",
        JobStatus::Revoked => "the job was revoked",
        JobStatus::Pending | JobStatus::Started | JobStatus::Retry | JobStatus::Unknown => {
            return Job::Running;
        }
    };
    let parts = [job.error_reason, job.error_message];
    let said = parts.into_iter().filter_map(Field::into_value);
    let said = said.filter(|part| !part.is_empty());
    let said = said.collect::<Vec<_>>().join(": ");
    Job::Failed(match said.is_empty() {
        true => otherwise.to_owned(),
        false => shortened(&said),
    })
}

/// The pieces of a file that is sent in parts: number from 1, start, bytes.
pub(super) fn parts(bytes: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    (0..bytes.div_ceil(PART_BYTES)).map(move |index| {
        let start = index * PART_BYTES;
        (index + 1, start, PART_BYTES.min(bytes - start))
    })
}

#[cfg(test)]
mod tests {
    use driftline_fiddler_api::parse;
    use serde_json::json;

    use super::*;

    #[test]
    fn versions_before_the_oldest_are_refused_whatever_their_tags() {
        let check = |version: &str| check_version(version, Version::new(24, 4, 0), "V3");
        for version in ["24.4.0", "24.4.0-pre-3e889ef", "25.2.0", "99.0.0"] {
            assert_eq!(check(version).unwrap(), version);
        }
        let error = check("24.3.9").unwrap_err().to_string();
        assert!(
            error.contains("24.3.9") && error.contains("24.4.0 or later"),
            "{error}"
        );
        for version in ["25.2", "main", ""] {
            assert!(check(version).is_err());
        }
    }

    #[test]
    fn jobs_end_well_or_with_the_servers_reason() {
        let job_of = |job| job_of(parse(job).unwrap());
        assert_eq!(job_of(json!({"status": "SUCCESS"})), Job::Done);
        for status in ["PENDING", "STARTED", "RETRY", "NEW"] {
            assert_eq!(job_of(json!({ "status": status })), Job::Running);
        }
        let failed =
            json!({"status": "FAILURE", "error_reason": "BadRow", "error_message": "row 3"});
        assert_eq!(job_of(failed), Job::Failed("BadRow: row 3".to_owned()));
        let revoked = job_of(json!({"status": "REVOKED"}));
        assert_eq!(revoked, Job::Failed("the job was revoked".to_owned()));
    }

    #[test]
    fn parts_cover_a_file_once() {
        let all: Vec<_> = parts(2 * PART_BYTES + 5).collect();
        assert_eq!(
            all,
            [
                (1, 0, PART_BYTES),
                (2, PART_BYTES, PART_BYTES),
                (3, 2 * PART_BYTES, 5)
            ]
        );
    }
}
