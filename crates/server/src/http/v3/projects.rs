//! Projects.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use driftline_fiddler_api::Empty;
use driftline_fiddler_api::v3::NewProject;

use super::fields::id;
use super::list::List;
use super::views;
use crate::domain::discovery::discover;
use crate::domain::{deletion, objects};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v3/projects", get(list).post(create))
        .route("/v3/projects/{id}", get(one).delete(delete))
}

async fn list(State(app): State<App>, list: List) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let projects = app.catalog.read(objects::projects)?;
        let projects = projects.iter().map(|project| views::project(app, project));
        list.answer(projects.collect())
    })
    .await
}

async fn create(State(app): State<App>, Payload(new): Payload<NewProject>) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let project = app
            .catalog
            .change(|documents| objects::create_project(&app.store, documents, &new.name))?;
        Ok(normal(views::project(app, &project)))
    })
    .await
}

async fn one(State(app): State<App>, Path(text): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Project")?;
        let project = app
            .catalog
            .read(|documents| objects::project(documents, id))?;
        Ok(normal(views::project(app, &project)))
    })
    .await
}

/// The models go with the project. They are out of sight at once; their rows are removed by jobs.
async fn delete(State(app): State<App>, Path(text): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Project")?;
        app.catalog
            .change(|documents| deletion::delete_project(documents, id))?;
        Ok(normal(Empty {}))
    })
    .await
}
