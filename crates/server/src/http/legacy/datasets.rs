//! Data sets, which come before the models that they are the baseline of.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use driftline_fiddler_api::v2::{self, Accepted, Column, FileList, FileNode, NewDataset};
use driftline_fiddler_api::{Empty, Field, Page};
use uuid::Uuid;

use super::names::{Generation, split};
use super::requests::{Decoded, InProject, accepted};
use super::uploads;
use crate::domain::datasets::{self, DATASET, Dataset};
use crate::domain::work::Work;
use crate::domain::{error, housekeeping, jobs, objects};
use crate::http::app::App;
use crate::http::envelope::{Answer, normal, paginated};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v2/datasets", get(list))
        .route("/v2/datasets/{names}", get(one).delete(delete))
        .route("/v2/datasets/{names}/ingest", post(ingest))
}

fn object(dataset: &Dataset) -> v2::Dataset {
    let file = |file: &Uuid| FileNode {
        name: file.to_string(),
    };
    v2::Dataset {
        id: dataset.number,
        name: dataset.name.clone(),
        version: "v1".to_owned(),
        file_list: FileList {
            tree: dataset.files.iter().map(file).collect(),
        },
        info: dataset.info.clone(),
        organization_name: super::names::ORGANIZATION.to_owned(),
        project_name: dataset.project.clone(),
    }
}

/// Client 1 fails on a list with one column that it does not know.
fn readable(dataset: &Dataset, by: Generation) -> bool {
    by == Generation::Second || dataset.info.columns.iter().all(Column::is_scalar)
}

async fn list(State(app): State<App>, by: Generation, Query(query): Query<InProject>) -> Answer {
    app.blocking(move |app| {
        app.catalog.read(|documents| {
            let all = datasets::datasets(documents)?;
            let shown = all
                .iter()
                .filter(|dataset| dataset.project == query.project_name && readable(dataset, by));
            Ok(paginated(Page::whole(shown.map(object).collect())))
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
    Decoded(new): Decoded<NewDataset>,
) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        let job = app.catalog.change(|documents| {
            // Under the transaction, so that no job that ends removes one of them meanwhile.
            let files = uploads::named(app, &new.file_name)?;
            objects::project_by_name(documents, project)?;
            datasets::create(documents, project, name, files.clone(), new.info)?;
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
        let dataset = app.catalog.change(|documents| {
            let dataset = datasets::find(documents, project, name)?;
            documents.delete(DATASET, dataset.id)?;
            Ok(dataset)
        })?;
        housekeeping::remove_all_unneeded(&app.catalog, &app.uploads, dataset.files)?;
        Ok(normal(Empty {}))
    })
    .await
}
