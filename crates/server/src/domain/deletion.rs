//! Models and projects that are deleted: out of sight at once, their rows by jobs.

use driftline_core::Result;
use uuid::Uuid;

use crate::domain::alerts;
use crate::domain::catalog::Documents;
use crate::domain::error;
use crate::domain::jobs::{self, Job};
use crate::domain::objects::{
    BASELINE, ENVIRONMENT, MODEL, Model, PROJECT, baselines, environments, models, project,
};
use crate::domain::work::Work;

/// Marks a model as deleted and accepts the job that removes it. Asked again, it is the same job.
///
/// # Errors
/// `NotFound` without such a model.
pub fn delete_model(documents: &Documents<'_>, id: Uuid) -> Result<Job> {
    let model: Option<Model> = documents.get(MODEL, id)?;
    let mut model = model.ok_or_else(|| error::not_found("Model"))?;
    if !model.deleting {
        model.deleting = true;
        documents.replace(MODEL, id, &model)?;
    }
    let key = format!("delete/{id}");
    jobs::submit(
        documents,
        "Delete model",
        Some(&key),
        &Work::DeleteModel { model: id },
    )
}

/// Marks a project and its models as deleted and accepts the jobs that remove them.
///
/// # Errors
/// `NotFound` without such a project.
pub fn delete_project(documents: &Documents<'_>, id: Uuid) -> Result<()> {
    let mut project = project(documents, id)?;
    for model in models(documents)? {
        if model.project == id {
            delete_model(documents, model.id)?;
        }
    }
    project.deleting = true;
    documents.replace(PROJECT, id, &project)?;
    jobs::submit(
        documents,
        "Delete project",
        None,
        &Work::DeleteProject { project: id },
    )?;
    Ok(())
}

/// Removes a model and what belongs to it from the catalog; its folder is removed before.
pub(crate) fn forget_model(documents: &Documents<'_>, model: Uuid) -> Result<()> {
    for environment in environments(documents, model)? {
        documents.delete(ENVIRONMENT, environment.id)?;
    }
    for baseline in baselines(documents, model)? {
        documents.delete(BASELINE, baseline.id)?;
    }
    alerts::forget_model(documents, model)?;
    documents.delete(MODEL, model)?;
    Ok(())
}
