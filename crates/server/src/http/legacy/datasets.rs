//! Data sets, which come before the models that they are the baseline of.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use driftline_fiddler_api::v2::{
    self, Accepted, Column, DatasetInfo, FileList, FileNode, NewDataset,
};
use driftline_fiddler_api::{Empty, Field, Page};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::names::{Generation, split};
use super::{Decoded, InProject, accepted, uploads};
use crate::App;
use crate::domain::catalog::{Documents, Kind};
use crate::domain::ingest::Work;
use crate::domain::{housekeeping, jobs, objects};
use crate::http::envelope::{Answer, ApiError, normal, paginated};

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

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v2/datasets", get(list))
        .route("/v2/datasets/{names}", get(one).delete(delete))
        .route("/v2/datasets/{names}/ingest", post(ingest))
}

impl Dataset {
    fn object(&self) -> v2::Dataset {
        let file = |file: &Uuid| FileNode {
            name: file.to_string(),
        };
        v2::Dataset {
            id: self.number,
            name: self.name.clone(),
            version: "v1".to_owned(),
            file_list: FileList {
                tree: self.files.iter().map(file).collect(),
            },
            info: self.info.clone(),
            organization_name: super::ORGANIZATION.to_owned(),
            project_name: self.project.clone(),
        }
    }

    /// Client 1 fails on a list with one column that it does not know.
    fn readable(&self, by: Generation) -> bool {
        by == Generation::Second || self.info.columns.iter().all(Column::is_scalar)
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
    Decoded(new): Decoded<NewDataset>,
) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        let job = app.change(|documents| {
            // Under the transaction, so that no job that ends removes one of them meanwhile.
            let files = uploads::named(app, &new.file_name)?;
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
                info: new.info,
            };
            documents.insert(DATASET, dataset.id, Some(&key(project, name)), &dataset)?;
            jobs::submit(documents, "Upload dataset", None, &Work::Inspect { files })
        })?;
        Ok(accepted(Accepted {
            job_uuid: job.id.to_string().into(),
            status: Field::Absent,
        }))
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
        Ok(normal(Empty {}))
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
