//! Data sets, which come before the models that they are the baseline of.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::names::{Generation, split};
use super::{InProject, accepted, decoded, info, uploads};
use crate::App;
use crate::domain::catalog::{Documents, Kind};
use crate::domain::ingest::Work;
use crate::domain::{housekeeping, jobs, objects};
use crate::http::app::Payload;
use crate::http::envelope::{Answer, ApiError, Page, normal, paginated};

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
    pub(crate) info: Value,
}

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v2/datasets", get(list))
        .route("/v2/datasets/{names}", get(one).delete(delete))
        .route("/v2/datasets/{names}/ingest", post(ingest))
}

impl Dataset {
    fn object(&self) -> Value {
        let tree: Vec<Value> = self
            .files
            .iter()
            .map(|file| json!({"name": file}))
            .collect();
        json!({
            "id": self.number,
            "name": self.name,
            "version": "v1",
            "file_list": {"tree": tree},
            "info": self.info,
            "organization_name": super::ORGANIZATION,
            "project_name": self.project,
        })
    }

    /// Client 1 fails on a list with one column that it does not know.
    fn readable(&self, by: Generation) -> bool {
        let columns = self.info["columns"].as_array();
        by == Generation::Second || columns.into_iter().flatten().all(info::is_scalar)
    }
}

/// The uploads that data sets are made of.
pub(crate) fn files(documents: &Documents<'_>) -> Answer<Vec<Uuid>> {
    let all: Vec<Dataset> = documents.list(DATASET)?;
    Ok(all.into_iter().flat_map(|dataset| dataset.files).collect())
}

/// The data set of this name.
///
/// # Errors
/// 404.
pub(super) fn find(documents: &Documents<'_>, project: &str, name: &str) -> Answer<Dataset> {
    documents
        .by_key(DATASET, &key(project, name))?
        .ok_or_else(|| ApiError::not_found("Dataset"))
}

fn key(project: &str, name: &str) -> String {
    format!("{project}:{name}")
}

async fn list(State(app): State<App>, by: Generation, Query(query): Query<InProject>) -> Answer {
    app.blocking(move |app| {
        app.catalog.read(|documents| {
            let all: Vec<Dataset> = documents.list(DATASET)?;
            let shown = all
                .iter()
                .filter(|dataset| dataset.project == query.project_name && dataset.readable(by));
            Ok(paginated(Page::whole(shown.map(Dataset::object).collect())))
        })
    })
    .await
}

async fn one(State(app): State<App>, by: Generation, Path(names): Path<String>) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        let dataset = app
            .catalog
            .read(|documents| find(documents, project, name))?;
        if !dataset.readable(by) {
            return Err(ApiError::not_found("Dataset that this client can read"));
        }
        Ok(normal(dataset.object()))
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
            return Err(ApiError::bad_request(message));
        }
        let job = app.change(|documents| {
            // Under the transaction, so that no job that ends removes one of them meanwhile.
            let files = uploads::named(app, &body)?;
            objects::project_by_name(documents, project)?;
            let numbers = documents.list::<Dataset>(DATASET)?;
            let dataset = Dataset {
                id: Uuid::new_v4(),
                number: numbers
                    .iter()
                    .map(|dataset| dataset.number)
                    .max()
                    .unwrap_or(0)
                    + 1,
                project: project.to_owned(),
                name: name.to_owned(),
                files: files.clone(),
                info: body["info"].clone(),
            };
            documents.insert(DATASET, dataset.id, Some(&key(project, name)), &dataset)?;
            jobs::submit(documents, "Upload dataset", None, &Work::Inspect { files })
        })?;
        Ok(accepted(json!({"job_uuid": job.id})))
    })
    .await
}

async fn delete(State(app): State<App>, Path(names): Path<String>) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        let dataset = app.change(|documents| {
            let dataset = find(documents, project, name)?;
            documents.delete(DATASET, dataset.id)?;
            Ok(dataset)
        })?;
        remove_files(app, &[dataset])?;
        Ok(normal(json!({})))
    })
    .await
}

/// Takes the data sets of a project out of the catalog.
pub(super) fn forget(documents: &Documents<'_>, project: &str) -> Answer<Vec<Dataset>> {
    let mut all: Vec<Dataset> = documents.list(DATASET)?;
    all.retain(|dataset| dataset.project == project);
    for dataset in &all {
        documents.delete(DATASET, dataset.id)?;
    }
    Ok(all)
}

/// Removes the files of data sets that are in the catalog no more, as far as no job reads them. Blocks.
pub(super) fn remove_files(app: &App, datasets: &[Dataset]) -> Answer<()> {
    let files = datasets.iter().flat_map(|dataset| &dataset.files);
    files
        .copied()
        .try_for_each(|file| housekeeping::remove_unneeded(app, file))
}
