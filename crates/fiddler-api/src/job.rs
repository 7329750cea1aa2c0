//! Jobs, which `/v2` and `/v3` answer in the same form.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Field;

/// Where a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobStatus {
    /// It waits.
    Pending,
    /// It runs.
    Started,
    /// It is done.
    Success,
    /// It failed.
    Failure,
    /// It will run once more.
    Retry,
    /// It was called off.
    Revoked,
    /// One that this version does not know, or none.
    #[default]
    #[serde(other)]
    Unknown,
}

/// A job of the server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its id, as client 3 has it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub id: Field<Uuid>,
    /// Its id, as client 2 has it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub uuid: Field<Uuid>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub name: Field<String>,
    /// More about it; client 3 needs the object.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub info: Field<Map<String, Value>>,
    /// Where it is.
    #[serde(default)]
    pub status: JobStatus,
    /// 0 to 100.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub progress: Field<f64>,
    /// Why it failed, in a word.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub error_reason: Field<String>,
    /// Why it failed, in a sentence.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub error_message: Field<String>,
    /// Results of its parts.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub extras: Field<Map<String, Value>>,
}
