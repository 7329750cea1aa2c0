//! Environments.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use driftline_core::{ErrorKind, Result};
use driftline_fiddler_api::v3;
use uuid::Uuid;

use super::fields::id;
use super::list::List;
use super::views;
use crate::domain::discovery::discover_environments;
use crate::domain::error;
use crate::domain::objects::{self, ENVIRONMENT, Environment, EnvironmentKind, Model};
use crate::http::app::App;
use crate::http::envelope::{Answer, normal};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v3/environments", get(list))
        .route("/v3/environments/{id}", get(one))
        .route("/v3/models/{id}/environments", get(of_model))
}

async fn list(State(app): State<App>, list: List) -> Answer {
    list.of_models(&app, objects_of).await
}

async fn of_model(State(app): State<App>, Path(text): Path<String>, list: List) -> Answer {
    let kind = list.kind.clone();
    list.of_model(&app, text, move |app, model| {
        let mut items = objects_of(app, model)?;
        if let Some(kind) = &kind {
            items.retain(|item| item.kind.name() == kind);
        }
        Ok(items)
    })
    .await
}

async fn one(State(app): State<App>, Path(text): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Environment")?;
        let (environment, model) = app.catalog.read(|documents| {
            let found: Option<Environment> = documents.get(ENVIRONMENT, id)?;
            let environment = found.ok_or_else(|| error::not_found("Environment"))?;
            let model = objects::model(documents, environment.model)?;
            Ok((environment, model))
        })?;
        Ok(normal(views::environment(
            app,
            &environment,
            &model,
            rows(app, &model, &environment)?,
        )))
    })
    .await
}

fn objects_of(app: &App, model: &Model) -> Result<Vec<v3::Environment>> {
    discover_environments(&app.catalog, &app.counts, model)?;
    let environments = app
        .catalog
        .read(|documents| objects::environments(documents, model.id))?;
    environments
        .iter()
        .map(|environment| {
            let rows = rows(app, model, environment)?;
            Ok(views::environment(app, environment, model, rows))
        })
        .collect()
}

/// Rows of a pre-production environment; those of production are not counted here.
pub(super) fn rows(app: &App, model: &Model, environment: &Environment) -> Result<Option<u64>> {
    if environment.kind == EnvironmentKind::Production {
        return Ok(None);
    }
    let counted = app.counts.with(model, |counted| Ok(counted.environments()));
    match counted {
        Ok(counts) => Ok(Some(counts.get(&environment.name).copied().unwrap_or(0))),
        // Its folder is made by a job that waits.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(0)),
        Err(error) => Err(error),
    }
}

/// The environment with this id, of this model.
pub(super) fn of(app: &App, model: &Model, id: Uuid) -> Result<Environment> {
    let found: Option<Environment> = app
        .catalog
        .read(|documents| documents.get(ENVIRONMENT, id))?;
    found
        .filter(|environment| environment.model == model.id)
        .ok_or_else(|| error::not_found("Environment"))
}
