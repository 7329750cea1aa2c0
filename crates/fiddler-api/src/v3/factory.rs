//! The schema of a sample.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Schema, Spec};

/// Asks for the schema of a sample: `POST /v3/model-factory`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Infer {
    /// The sample.
    pub file_id: Uuid,
    /// What is known of the roles of its columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spec: Option<Spec>,
    /// Most categories of a column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cardinality: Option<u64>,
    /// Rows that are looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_size: Option<u64>,
}

/// The schema of a sample, and its spec with the clusters of every custom feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Inferred {
    /// The columns.
    pub schema: Schema,
    /// Their roles.
    pub spec: Spec,
}
