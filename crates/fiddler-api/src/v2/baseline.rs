//! Baselines.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Field;

/// How the rows of a baseline are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BaselineType {
    /// Those of a data set.
    PreProduction,
    /// Those of a time range of production.
    StaticProduction,
    /// Those of production, some time before the bin that is compared.
    RollingProduction,
}

/// Adds a baseline: `POST /v2/baselines`. Which numbers it needs depends on its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewBaseline {
    /// Its name.
    pub name: String,
    /// Its project.
    pub project_name: String,
    /// Its organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_name: Option<String>,
    /// How its rows are chosen.
    #[serde(rename = "type")]
    pub kind: BaselineType,
    /// Its model.
    pub model_name: String,
    /// The data set.
    #[serde(default)]
    pub dataset_name: Option<String>,
    /// Start of the time range, seconds or milliseconds since 1970.
    #[serde(default)]
    pub start_time: Option<i64>,
    /// End of the time range, likewise.
    #[serde(default)]
    pub end_time: Option<i64>,
    /// Seconds between the window and the bin.
    #[serde(default)]
    pub offset: Option<i64>,
    /// Length of the window in seconds.
    #[serde(default)]
    pub window_size: Option<i64>,
    /// Whether a job makes it. Not from client 1.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub run_async: Field<bool>,
}

/// A baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Its id, which Fiddler sends and no client reads.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub id: Field<Value>,
    /// All that was said when it was added.
    #[serde(flatten)]
    pub said: NewBaseline,
}
