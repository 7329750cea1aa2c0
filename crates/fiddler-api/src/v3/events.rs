//! Events, their changes and deletion.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::EnvironmentType;
use crate::Field;

/// Publishes rows (`POST /v3/events`) or changes them (`PATCH /v3/events`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Publish {
    /// The rows.
    pub source: Source,
    /// Their model.
    pub model_id: Uuid,
    /// Where they belong to.
    pub env_type: EnvironmentType,
    /// Name of the pre-production environment.
    #[serde(default)]
    pub env_name: Option<String>,
}

/// Where rows come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "UPPERCASE")]
pub enum Source {
    /// An uploaded file.
    File {
        /// Its id.
        file_id: Uuid,
    },
    /// The request itself.
    Events {
        /// The rows, at most 1,000.
        events: Vec<Map<String, Value>>,
    },
}

/// A job that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRef {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    #[serde(default)]
    pub name: String,
}

/// The answer to a request that a job fulfils.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// The job.
    pub job: JobRef,
}

/// Where published rows came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SourceType {
    /// An uploaded file.
    File,
    /// The request itself.
    Events,
}

/// Rows were taken in, or will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// Where they came from.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub source_type: Field<SourceType>,
    /// Of a file, the job that reads it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub job: Field<JobRef>,
    /// Of a request, the ids of its rows in their order.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub event_ids: Field<Vec<String>>,
}

impl Published {
    /// A job reads the file.
    pub fn file(job: JobRef) -> Self {
        Self {
            source_type: SourceType::File.into(),
            job: job.into(),
            event_ids: Field::Absent,
        }
    }

    /// The rows of the request are taken in.
    pub fn events(ids: Vec<String>) -> Self {
        Self {
            source_type: SourceType::Events.into(),
            job: Field::Absent,
            event_ids: ids.into(),
        }
    }
}

/// Deletes rows: `DELETE /v3/events`. Either ids or a time range say which.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeleteEvents {
    /// Their model.
    pub model_id: Uuid,
    /// Ids of the rows, at most 10,000.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub event_ids: Field<Vec<String>>,
    /// Times of the rows.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub time_range: Field<TimeRange>,
    /// Whether numbers are computed once more.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub update_metrics: Field<bool>,
}

/// A time range without its end. A moment is a number, seconds or milliseconds since 1970, or a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeRange {
    /// The first moment.
    pub start_time: Value,
    /// The first moment after it.
    pub end_time: Value,
}
