//! Events: by uploaded files, or one by one.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::Field;

/// One name or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Names {
    /// One name.
    One(String),
    /// Several names.
    Many(Vec<String>),
}

impl Names {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Many(names) => names,
        }
    }
}

/// Publishes events, or changes them, by uploaded files: `POST /v2/events/<names>/ingest`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Publish {
    /// The uploads, by the names that the server gave them.
    pub file_name: Names,
    /// Always null.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub batch_id: Field<Value>,
    /// Always null.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub events_schema: Field<Value>,
    /// The column with the ids of the events.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub id_field: Field<String>,
    /// Whether events that are there are changed.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub is_update: Field<bool>,
    /// The column with the times of the events.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub timestamp_field: Field<String>,
    /// How times are written: `infer`, or a format.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub timestamp_format: Field<String>,
    /// The column that ranks are grouped by.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub group_by: Field<Value>,
    /// `.parquet`, or null for CSV.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub file_type: Field<String>,
    /// `event`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub upload_type: Field<String>,
}

/// What was asked for will be done. For what takes in an upload, the HTTP status must be 202.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The job to wait for.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub job_uuid: Field<String>,
    /// 202 for events, which a client returns to its caller.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub status: Field<u16>,
}

/// A text or a number, of which a name or a time is made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A number.
    Number(Number),
}

impl std::fmt::Display for Scalar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// Publishes an event, or changes it: `POST /v2/events/<names>/ingest/event`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its columns.
    pub event: Map<String, Value>,
    /// Its id.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub event_id: Field<Scalar>,
    /// The column with its id.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub id_field: Field<String>,
    /// Whether it is there and is changed.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub is_update: Field<bool>,
    /// Its time.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub event_timestamp: Field<Scalar>,
    /// How times are written: `infer`, or a format.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub timestamp_format: Field<String>,
}

/// The server has taken in an event. The HTTP status must be 202.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventAccepted {
    /// The id of the event.
    #[serde(rename = "__fiddler_id")]
    pub event_id: String,
    /// For the log of the client.
    pub message: String,
    /// The job that stores it.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub job_uuid: Field<String>,
}
