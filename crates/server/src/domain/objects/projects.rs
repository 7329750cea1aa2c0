//! Projects.

use std::path::Path;

use driftline_core::{ErrorKind, Result};
use driftline_sink_local::Store;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::catalog::{Documents, Kind};
use crate::domain::error;

/// Projects; the key is the name.
pub const PROJECT: Kind = Kind("project");

/// What the store has at its top beside projects and names with a dot at the start.
const STORE_FILES: [&str; 1] = [driftline_sink_local::REPORT];

/// A project.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: Uuid,
    /// Its name, which is a folder of the store.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed.
    pub updated_at: Timestamp,
    /// Whether a job that deletes it waits.
    pub deleting: bool,
}

/// Adds a project.
///
/// # Errors
/// `InvalidConfig` or `InvalidData` if its name cannot be a folder or is one that the store uses, `Conflict` if it is taken.
pub fn create_project(store: &Path, documents: &Documents<'_>, name: &str) -> Result<Project> {
    check_folder(store, name, "model")?;
    // Not all file systems tell names apart by the case of their letters.
    if STORE_FILES
        .iter()
        .any(|file| file.eq_ignore_ascii_case(name))
    {
        let message = format!(
            "a project cannot be called {name:?}: the store has a file of that name; give it another name"
        );
        return Err(error::invalid(message));
    }
    let now = Timestamp::now();
    let project = Project {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        created_at: now,
        updated_at: now,
        deleting: false,
    };
    documents.insert(PROJECT, project.id, Some(name), &project)?;
    Ok(project)
}

/// The project with this name; `NotFound` without one.
pub fn project_by_name(documents: &Documents<'_>, name: &str) -> Result<Project> {
    documents
        .by_key(PROJECT, name)?
        .filter(|project: &Project| !project.deleting)
        .ok_or_else(|| error::not_found("Project"))
}

/// The project with this id; `NotFound` without one.
pub fn project(documents: &Documents<'_>, id: Uuid) -> Result<Project> {
    documents
        .get(PROJECT, id)?
        .filter(|project: &Project| !project.deleting)
        .ok_or_else(|| error::not_found("Project"))
}

/// All projects, in the order in which they were made.
pub fn projects(documents: &Documents<'_>) -> Result<Vec<Project>> {
    let mut projects: Vec<Project> = documents.list(PROJECT)?;
    projects.retain(|project| !project.deleting);
    Ok(projects)
}

/// Refuses names that cannot be folders of the store.
pub(super) fn check_folder(store: &Path, project: &str, folder: &str) -> Result<()> {
    match Store::open(store, project, folder) {
        Err(error) if error.kind() == ErrorKind::InvalidConfig => Err(error),
        _ => Ok(()),
    }
}
