//! Models, and what client 1 calls after it has added one.

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use driftline_core::Result;
use driftline_fiddler_api::legacy::{DescribedModel, MonitoringStarted, PredictionsExist};
use driftline_fiddler_api::v2::{self, ModelInfo, NewModel};
use driftline_fiddler_api::{Empty, Field, Page};
use uuid::Uuid;

use super::info;
use super::names::{Generation, split};
use super::requests::{Decoded, InProject, kept, recalled};
use crate::domain::catalog::Documents;
use crate::domain::discovery::{discover, make_folder};
use crate::domain::jobs::{self, JOB, Job};
use crate::domain::objects::{self, FIRST_VERSION, Model, Origin};
use crate::domain::work::{Files, Work};
use crate::domain::{datasets, deletion, error};
use crate::http::app::App;
use crate::http::envelope::{Answer, normal, paginated, rpc};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v2/models", get(list).post(create))
        .route("/v2/models/{names}", get(one).delete(delete))
        .route(
            "/model_info/{organization}/{project}/{model}",
            get(model_info),
        )
        .route(
            "/model_predictions_exist/{organization}/{project}",
            post(predictions_exist),
        )
        .route(
            "/init_monitoring/{organization}/{project}/{model}",
            post(init_monitoring),
        )
}

/// The model of this name: its first version, as these clients know no others, else its newest.
///
/// # Errors
/// `NotFound` without one.
pub(super) fn find(documents: &Documents<'_>, project: &str, name: &str) -> Result<Model> {
    let project = objects::project_by_name(documents, project)?;
    if let Ok(first) = objects::model_by_name(documents, project.id, name, FIRST_VERSION) {
        return Ok(first);
    }
    let named = |model: &Model| model.project == project.id && model.name == name;
    let newest = objects::models(documents)?.into_iter().rfind(named);
    newest.ok_or_else(|| error::not_found("Model"))
}

/// Its `info` as a client of this generation can read it.
fn readable(documents: &Documents<'_>, model: &Model, by: Generation) -> Result<Option<ModelInfo>> {
    let info = match &model.info {
        Some(info) => recalled(info)?,
        None => {
            let baselines = objects::baselines(documents, model.id)?;
            let datasets = baselines.into_iter().map(|baseline| baseline.name);
            info::of_definition(
                &model.name,
                recalled(&model.definition)?,
                datasets.collect(),
            )
        }
    };
    Ok(info::readable(info, by))
}

fn object(model: &Model, info: ModelInfo) -> v2::Model {
    v2::Model {
        id: Field::Absent,
        name: model.name.clone(),
        project_name: model.project_name.clone().into(),
        organization_name: super::names::ORGANIZATION.to_owned().into(),
        info,
        file_list: Field::Null,
        model_type: Field::Null,
        framework: Field::Null,
        requirements: Field::Null,
        job_uuid: Field::Absent,
    }
}

async fn list(State(app): State<App>, by: Generation, Query(query): Query<InProject>) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        app.catalog.read(|documents| {
            let project = objects::project_by_name(documents, &query.project_name)?;
            let mut items = Vec::new();
            for model in objects::models(documents)? {
                if model.project == project.id
                    && let Some(info) = readable(documents, &model, by)?
                {
                    items.push(object(&model, info));
                }
            }
            Ok(paginated(Page::whole(items)))
        })
    })
    .await
}

/// The model and its `info`; 404 if this generation cannot read it.
fn shown(app: &App, project: &str, name: &str, by: Generation) -> Result<(Model, ModelInfo)> {
    app.catalog.read(|documents| {
        let model = find(documents, project, name)?;
        match readable(documents, &model, by)? {
            Some(info) => Ok((model, info)),
            None => Err(error::not_found("Model that this client can read")),
        }
    })
}

async fn one(State(app): State<App>, by: Generation, Path(names): Path<String>) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        let (model, info) = shown(app, project, name, by)?;
        Ok(normal(object(&model, info)))
    })
    .await
}

async fn delete(State(app): State<App>, Path(names): Path<String>) -> Answer {
    app.blocking(move |app| {
        let [_, project, name] = split(&names)?;
        let id = app.catalog.change(|documents| {
            let model = find(documents, project, name)?;
            deletion::delete_model(documents, model.id)?;
            Ok(model.id)
        })?;
        app.counts.forget(id);
        Ok(normal(Empty {}))
    })
    .await
}

async fn create(State(app): State<App>, Decoded(new): Decoded<NewModel>) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let info = new.info;
        let (definition, said) = (kept(&info::definition(&info))?, kept(&info)?);
        let baseline = info.datasets.elements().first();
        let (model, job) = app.catalog.change(|documents| {
            let project = objects::project_by_name(documents, &new.project_name)?;
            let dataset = baseline
                .map(|name| datasets::find(documents, &project.name, name))
                .transpose()?;
            let model = objects::create_model(
                &app.store,
                documents,
                objects::NewModel {
                    project: &project,
                    name: &new.name,
                    version: FIRST_VERSION,
                    origin: Origin::Legacy,
                    definition,
                    info: Some(said),
                },
            )?;
            let work = match dataset {
                Some(dataset) => {
                    objects::ensure_baseline(documents, model.id, &dataset.name)?;
                    Work::Publish(Files {
                        model: model.id,
                        files: dataset.files,
                        environment: Some(dataset.name),
                        id_column: None,
                        timestamp_column: None,
                    })
                }
                None => NOTHING,
            };
            Ok((model.clone(), start(documents, model.id, &work)?))
        })?;
        make_folder(&app.store, &app.catalog, &model)?;
        Ok(normal(v2::Model {
            job_uuid: job.id.to_string().into(),
            ..object(&model, info)
        }))
    })
    .await
}

/// What is left to do for a model without a data set.
const NOTHING: Work = Work::Inspect { files: Vec::new() };

/// The job that makes a model's baseline; there is one, however often it is asked for.
fn start(documents: &Documents<'_>, model: Uuid, work: &Work) -> Result<Job> {
    let name = "Initialize monitoring";
    jobs::submit(documents, name, Some(&key(model)), work)
}

fn key(model: Uuid) -> String {
    format!("monitoring of {model}")
}

async fn model_info(
    State(app): State<App>,
    by: Generation,
    Path((_, project, name)): Path<(String, String, String)>,
) -> Answer {
    app.blocking(move |app| {
        let (_, info) = shown(app, &project, &name, by)?;
        Ok(rpc(DescribedModel { model: info }))
    })
    .await
}

/// Predictions come with the rows, so that they are never to be computed.
async fn predictions_exist(
    State(app): State<App>,
    Path((_, project)): Path<(String, String)>,
    Decoded(asked): Decoded<PredictionsExist>,
) -> Answer {
    app.blocking(move |app| {
        app.catalog
            .read(|documents| find(documents, &project, &asked.model))?;
        Ok(rpc(true))
    })
    .await
}

async fn init_monitoring(
    State(app): State<App>,
    Path((_, project, name)): Path<(String, String, String)>,
) -> Answer {
    app.blocking(move |app| {
        let job = app.catalog.change(|documents| {
            let model = find(documents, &project, &name)?;
            match documents.by_key::<Job>(JOB, &key(model.id))? {
                Some(job) => Ok(job),
                None => start(documents, model.id, &NOTHING),
            }
        })?;
        Ok(rpc(MonitoringStarted {
            status: 202,
            task_id: job.id.to_string(),
        }))
    })
    .await
}
