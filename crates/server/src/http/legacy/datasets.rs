//! Data sets, which come before the models that they are the baseline of.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use serde_json::{Value, json};

use super::names::{Generation, split};
use super::requests::{InProject, accepted, decoded};
use super::{info, uploads};
use crate::domain::datasets::{self, DATASET, Dataset};
use crate::domain::error;
use crate::domain::housekeeping;
use crate::domain::jobs;
use crate::domain::objects;
use crate::domain::work::Work;
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, ListPage, normal, paginated};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v2/datasets", get(list))
        .route("/v2/datasets/{names}", get(one).delete(delete))
        .route("/v2/datasets/{names}/ingest", post(ingest))
}

fn object(dataset: &Dataset) -> Value {
    let tree: Vec<Value> = dataset
        .files
        .iter()
        .map(|file| json!({"name": file}))
        .collect();
    json!({
        "id": dataset.number,
        "name": dataset.name,
        "version": "v1",
        "file_list": {"tree": tree},
        "info": dataset.info,
        "organization_name": super::ORGANIZATION,
        "project_name": dataset.project,
    })
}

/// Client 1 fails on a list with one column that it does not know.
fn readable(dataset: &Dataset, by: Generation) -> bool {
    let columns = dataset.info["columns"].as_array();
    by == Generation::Second || columns.into_iter().flatten().all(info::is_scalar)
}

async fn list(State(app): State<App>, by: Generation, Query(query): Query<InProject>) -> Answer {
    app.blocking(move |app| {
        app.catalog.read(|documents| {
            let all = datasets::datasets(documents)?;
            let shown = all
                .iter()
                .filter(|dataset| dataset.project == query.project_name && readable(dataset, by));
            Ok(paginated(ListPage::whole(shown.map(object).collect())))
        })
    })
    .await
}

async fn one(State(app): State<App>, by: Generation, Path(names): Path<String>) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        let dataset = app
            .catalog
            .read(|documents| datasets::find(documents, project, name))?;
        if !readable(&dataset, by) {
            return Err(error::not_found("Dataset that this client can read"));
        }
        Ok(normal(object(&dataset)))
    })
    .await
}

async fn ingest(
    State(app): State<App>,
    Path(names): Path<String>,
    Payload(body): Payload,
) -> Answer {
    let body = decoded(body)?;
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        let columns = body["info"]["columns"].as_array();
        let named =
            |column: &Value| column["column-name"].is_string() && column["data-type"].is_string();
        if !columns.is_some_and(|columns| columns.iter().all(named)) {
            let message = "info.columns is not a list of columns with column-name and data-type";
            return Err(error::invalid(message));
        }
        let job = app.catalog.change(|documents| {
            // Under the transaction, so that no job that ends removes one of them meanwhile.
            let files = uploads::named(app, &body)?;
            objects::project_by_name(documents, project)?;
            let info = body["info"].clone();
            datasets::create(documents, project, name, files.clone(), info)?;
            jobs::submit(documents, "Upload dataset", None, &Work::Inspect { files })
        })?;
        Ok(accepted(json!({"job_uuid": job.id})))
    })
    .await
}

async fn delete(State(app): State<App>, Path(names): Path<String>) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        let dataset = app.catalog.change(|documents| {
            let dataset = datasets::find(documents, project, name)?;
            documents.delete(DATASET, dataset.id)?;
            Ok(dataset)
        })?;
        housekeeping::remove_all_unneeded(&app.catalog, &app.uploads, dataset.files)?;
        Ok(normal(json!({})))
    })
    .await
}
