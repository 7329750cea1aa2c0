//! Data sets of clients 1 and 2, which come before the models that they are the baseline of.

use driftline_core::Result;
use driftline_fiddler_api::v2::DatasetInfo;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::catalog::{Documents, Kind};
use crate::domain::error;

/// Data sets; their key is `<project>:<name>`.
pub(crate) const DATASET: Kind = Kind("dataset");

/// An uploaded data set. Its files stay with the uploads until it is deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Dataset {
    /// Its id.
    pub(crate) id: Uuid,
    /// Its id as legacy clients have it.
    pub(crate) number: usize,
    /// Its project's name.
    pub(crate) project: String,
    /// Its name.
    pub(crate) name: String,
    /// The uploads that it is made of.
    pub(crate) files: Vec<Uuid>,
    /// Its columns, as the client described them.
    pub(crate) info: DatasetInfo,
}

/// All data sets, in the order in which they were made.
pub(crate) fn datasets(documents: &Documents<'_>) -> Result<Vec<Dataset>> {
    documents.list(DATASET)
}

/// The data set of this name.
///
/// # Errors
/// `NotFound` without one.
pub(crate) fn find(documents: &Documents<'_>, project: &str, name: &str) -> Result<Dataset> {
    documents
        .by_key(DATASET, &key(project, name))?
        .ok_or_else(|| error::not_found("Dataset"))
}

/// Adds a data set.
///
/// # Errors
/// `Conflict` if its name is taken.
pub(crate) fn create(
    documents: &Documents<'_>,
    project: &str,
    name: &str,
    files: Vec<Uuid>,
    info: DatasetInfo,
) -> Result<Dataset> {
    let numbers = datasets(documents)?.into_iter();
    let last = numbers.map(|dataset| dataset.number).max();
    let dataset = Dataset {
        id: Uuid::new_v4(),
        number: last.unwrap_or(0) + 1,
        project: project.to_owned(),
        name: name.to_owned(),
        files,
        info,
    };
    documents.insert(DATASET, dataset.id, Some(&key(project, name)), &dataset)?;
    Ok(dataset)
}

/// The uploads that data sets are made of.
pub(crate) fn files(documents: &Documents<'_>) -> Result<Vec<Uuid>> {
    let all = datasets(documents)?;
    Ok(all.into_iter().flat_map(|dataset| dataset.files).collect())
}

/// Takes the data sets of a project out of the catalog.
pub(crate) fn forget(documents: &Documents<'_>, project: &str) -> Result<Vec<Dataset>> {
    let mut all = datasets(documents)?;
    all.retain(|dataset| dataset.project == project);
    for dataset in &all {
        documents.delete(DATASET, dataset.id)?;
    }
    Ok(all)
}

fn key(project: &str, name: &str) -> String {
    format!("{project}:{name}")
}
