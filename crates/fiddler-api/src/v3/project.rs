//! Projects.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Named;

/// Adds a project: `POST /v3/projects`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewProject {
    /// Its name.
    pub name: String,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its organization.
    pub organization: Named,
    /// When it was made.
    pub created_at: String,
    /// When it changed.
    pub updated_at: String,
}
