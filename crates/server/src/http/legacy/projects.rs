//! Projects.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::get;
use driftline_fiddler_api::v2::{self, NewProject};
use driftline_fiddler_api::{Empty, Field, Page};
use serde::Deserialize;

use super::names::split;
use super::requests::Decoded;
use crate::domain::discovery::discover;
use crate::domain::objects::{self, Project};
use crate::domain::{datasets, deletion, housekeeping};
use crate::http::app::App;
use crate::http::envelope::{Answer, normal, paginated};

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

fn object(project: &Project) -> v2::Project {
    v2::Project {
        id: Field::Absent,
        name: project.name.clone(),
        organization_name: super::names::ORGANIZATION.to_owned(),
    }
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
        let all = all.iter().map(object).collect();
        Ok(paginated(Page::cut(all, offset, limit)))
    })
    .await
}

async fn create(State(app): State<App>, Decoded(new): Decoded<NewProject>) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let project = app
            .catalog
            .change(|documents| objects::create_project(&app.store, documents, &new.name))?;
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
        Ok(normal(Empty {}))
    })
    .await
}
