//! Projects, models, environments and baselines, as the catalog keeps them.

mod environments;
mod models;
mod projects;

pub(crate) use environments::{
    BASELINE, Baseline, BaselineKind, ENVIRONMENT, Environment, EnvironmentKind, PRODUCTION,
    baselines, ensure_baseline, environment, environments,
};
pub(crate) use models::{
    FIRST_VERSION, MODEL, Model, NewModel, Origin, UNNAMED_BASELINE, create_model, insert_model,
    model, model_by_name, models,
};
pub(crate) use projects::{PROJECT, Project, create_project, project, project_by_name, projects};
