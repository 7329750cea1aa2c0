//! Baselines.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{EnvironmentRef, EnvironmentType, ModelRef, Named};
use crate::Field;

/// How the rows of a baseline are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BaselineType {
    /// Those of an environment, or of a time range of production.
    Static,
    /// Those of production, some time before the bin that is compared.
    Rolling,
}

/// Adds a baseline: `POST /v3/baselines`. A moment is a number, seconds or milliseconds since 1970, or a text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewBaseline {
    /// Its name.
    pub name: String,
    /// Its model.
    pub model_id: Uuid,
    /// How its rows are chosen.
    #[serde(rename = "type")]
    pub kind: BaselineType,
    /// What its rows are.
    pub env_type: EnvironmentType,
    /// Its environment; null for production.
    #[serde(default)]
    pub env_id: Option<Uuid>,
    /// Start of the time range.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub start_time: Field<Value>,
    /// End of the time range.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub end_time: Field<Value>,
    /// How many windows before the bin.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub offset_delta: Field<u64>,
    /// Length of the window: `Hour`, `Day`, `Week` or `Month`.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub window_bin_size: Field<String>,
}

/// A baseline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// How its rows are chosen.
    #[serde(rename = "type")]
    pub kind: BaselineType,
    /// Start of the time range as the client gave it.
    pub start_time: Option<i64>,
    /// End of the time range as the client gave it.
    pub end_time: Option<i64>,
    /// How many windows before the bin.
    pub offset_delta: Option<u64>,
    /// Length of the window.
    pub window_bin_size: Option<String>,
    /// Number of its rows, null where nobody counts them.
    pub row_count: Option<u64>,
    /// Its model.
    pub model: ModelRef,
    /// Its project.
    pub project: Named,
    /// Its organization.
    pub organization: Named,
    /// Its environment.
    pub environment: EnvironmentRef,
    /// When it was made.
    pub created_at: String,
    /// When it changed.
    pub updated_at: String,
}
