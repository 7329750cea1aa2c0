//! Projects.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Field;

/// The name of anything in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: String,
}

/// Adds a project: `POST /v2/projects`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewProject {
    /// Its name.
    pub name: String,
    /// Its organization.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organization_name: Option<String>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id, which Fiddler sends and no client reads.
    #[serde(default, skip_serializing_if = "Field::is_absent")]
    pub id: Field<Value>,
    /// Its name.
    pub name: String,
    /// Its organization.
    pub organization_name: String,
}
