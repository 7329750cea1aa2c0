//! Models.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use driftline_core::Result;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::fields::{id, id_in, text_in};
use super::list::List;
use super::views;
use crate::domain::deletion;
use crate::domain::discovery::{discover, make_folder};
use crate::domain::error;
use crate::domain::model::Monitored;
use crate::domain::objects::{
    self, FIRST_VERSION, MODEL, Model, NewModel, Origin, UNNAMED_BASELINE,
};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal, normal_with};

/// Parts of a definition that a client may change later.
const CHANGEABLE: [&str; 7] = [
    "xai_params",
    "description",
    "event_id_col",
    "event_ts_col",
    "event_ts_format",
    "schema",
    "spec",
];
/// Parts of a definition that a client gives once.
const GIVEN: [&str; 3] = ["input_type", "task", "task_params"];

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v3/models", get(list).post(create))
        .route("/v3/models/{id}", get(one).patch(change).delete(delete))
}

async fn list(State(app): State<App>, list: List) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let models = app.catalog.read(objects::models)?;
        Ok(list.answer(
            models
                .iter()
                .map(|model| views::model(app, model))
                .collect(),
        ))
    })
    .await
}

async fn one(State(app): State<App>, Path(text): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Model")?;
        let model = app
            .catalog
            .read(|documents| objects::model(documents, id))?;
        Ok(normal(views::model(app, &model)))
    })
    .await
}

async fn create(State(app): State<App>, Payload(body): Payload) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let name = text_in(&body, "name")?;
        let project = id_in(&body, "project_id")?;
        let version = match &body["version"] {
            Value::Null => FIRST_VERSION,
            version => version
                .as_str()
                .filter(|version| !version.is_empty())
                .ok_or_else(|| error::invalid("version is not a text"))?,
        };
        text_in(&body, "task")?;
        text_in(&body, "input_type")?;
        let definition: Map<String, Value> = GIVEN
            .iter()
            .chain(&CHANGEABLE)
            .map(|part| ((*part).to_owned(), body[*part].clone()))
            .collect();
        let model = app.catalog.change(|documents| {
            let project = objects::project(documents, project)?;
            let new = NewModel {
                project: &project,
                name,
                version,
                origin: Origin::V3,
                definition: Value::Object(definition),
                info: None,
            };
            objects::create_model(&app.store, documents, new)
        })?;
        make_folder(&app.store, &app.catalog, &model)?;
        Ok(normal(views::model(app, &model)))
    })
    .await
}

async fn change(
    State(app): State<App>,
    Path(text): Path<String>,
    Payload(body): Payload,
) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Model")?;
        if !body.is_object() {
            return Err(error::invalid("the body is not an object"));
        }
        let model = app.catalog.change(|documents| {
            let mut model = objects::model(documents, id)?;
            if let Some(version) = body.get("version")
                && *version != model.version
            {
                return Err(error::invalid("the version of a model cannot be changed"));
            }
            let mut definition = model.definition.clone();
            for part in CHANGEABLE {
                if let Some(value) = body.get(part) {
                    definition[part] = value.clone();
                }
            }
            check_change(&model, &definition)?;
            model.definition = definition;
            model.updated_at = Timestamp::now();
            documents.replace(MODEL, id, &model)?;
            Ok(model)
        })?;
        model.sink(&app.store, UNNAMED_BASELINE)?;
        app.counts.forget(id);
        Ok(normal(views::model(app, &model)))
    })
    .await
}

/// The rows that are there have the columns of the old definition.
fn check_change(model: &Model, definition: &Value) -> Result<()> {
    let (old, new) = (model.monitored()?, Monitored::of(definition)?);
    if old.dim != new.dim {
        let message = format!(
            "the embedding has {} numbers, which cannot become {}",
            old.dim, new.dim
        );
        return Err(error::invalid(message));
    }
    let differs = old
        .outputs
        .iter()
        .zip(&new.outputs)
        .find(|(old, new)| old != new);
    if let Some((old, new)) = differs {
        let message = format!("the output `{old}` cannot become `{new}`");
        return Err(error::invalid(message));
    }
    if old.outputs.len() != new.outputs.len() {
        return Err(error::invalid("outputs can neither be added nor removed"));
    }
    Ok(())
}

async fn delete(State(app): State<App>, Path(text): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Model")?;
        let job = app
            .catalog
            .change(|documents| deletion::delete_model(documents, id))?;
        app.counts.forget(id);
        let body = json!({"job": {"id": job.id, "name": job.name}});
        Ok(normal_with(StatusCode::ACCEPTED, body))
    })
    .await
}
