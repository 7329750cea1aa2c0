//! Projects.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};

use super::names::split;
use super::requests::{decoded, required};
use crate::domain::datasets;
use crate::domain::deletion;
use crate::domain::discovery::discover;
use crate::domain::housekeeping;
use crate::domain::objects::{self, Project};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, ListPage, normal, paginated};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v2/projects", get(list).post(create))
        .route("/v2/projects/{names}", get(one).delete(delete))
}

/// Which part of a list is asked for. The clients ask once only, so that it is long by default.
#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    offset: usize,
    #[serde(default = "most")]
    limit: usize,
}

fn most() -> usize {
    300
}

fn object(project: &Project) -> Value {
    json!({"name": project.name, "organization_name": super::ORGANIZATION})
}

/// The project of a path `<organisation>:<project>`.
///
/// # Errors
/// 404 without one.
pub(super) async fn existing(app: &App, names: String) -> Answer<Project> {
    app.blocking(move |app| {
        let [_, project] = split(&names)?;
        app.catalog
            .read(|documents| objects::project_by_name(documents, project))
    })
    .await
}

async fn list(State(app): State<App>, Query(Paging { offset, limit }): Query<Paging>) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let all = app.catalog.read(objects::projects)?;
        Ok(paginated(ListPage {
            items: all.iter().skip(offset).take(limit).map(object).collect(),
            total: all.len(),
            offset,
            limit,
        }))
    })
    .await
}

async fn create(State(app): State<App>, Payload(body): Payload) -> Answer {
    let body = decoded(body)?;
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let name = required(&body, "name")?;
        let project = app
            .catalog
            .change(|documents| objects::create_project(&app.store, documents, name))?;
        Ok(normal(object(&project)))
    })
    .await
}

async fn one(State(app): State<App>, Path(names): Path<String>) -> Answer {
    Ok(normal(object(&existing(&app, names).await?)))
}

/// With its models and data sets; jobs remove the rows.
async fn delete(State(app): State<App>, Path(names): Path<String>) -> Answer {
    let project = existing(&app, names).await?;
    app.blocking(move |app| {
        let datasets = app.catalog.change(|documents| {
            deletion::delete_project(documents, project.id)?;
            datasets::forget(documents, &project.name)
        })?;
        let files = datasets.into_iter().flat_map(|dataset| dataset.files);
        housekeeping::remove_all_unneeded(&app.catalog, &app.uploads, files)?;
        Ok(normal(json!({})))
    })
    .await
}
