//! Environments.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{ModelRef, Named};

/// What the rows of an environment are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EnvironmentType {
    /// Events.
    Production,
    /// A baseline.
    PreProduction,
}

impl EnvironmentType {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Production => "PRODUCTION",
            Self::PreProduction => "PRE_PRODUCTION",
        }
    }
}

/// How a baseline refers to an environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvironmentRef {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What its rows are.
    #[serde(rename = "type")]
    pub kind: EnvironmentType,
}

/// An environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// What its rows are.
    #[serde(rename = "type")]
    pub kind: EnvironmentType,
    /// Number of its rows, null where nobody counts them.
    pub row_count: Option<u64>,
    /// Its model.
    pub model: ModelRef,
    /// Its project.
    pub project: Named,
    /// Its organization.
    pub organization: Named,
}
