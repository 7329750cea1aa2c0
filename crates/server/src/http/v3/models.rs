//! Models.

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use driftline_core::Result;
use driftline_fiddler_api::v3::{Definition, ModelChange, NewModel, Started};
use driftline_fiddler_api::{Field, parse};
use jiff::Timestamp;
use serde_json::Value;

use super::fields::id;
use super::list::List;
use super::views;
use crate::domain::discovery::{discover, make_folder};
use crate::domain::model::Monitored;
use crate::domain::objects::{self, FIRST_VERSION, MODEL, Model, Origin, UNNAMED_BASELINE};
use crate::domain::{deletion, error};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal, normal_with};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v3/models", get(list).post(create))
        .route("/v3/models/{id}", get(one).patch(change).delete(delete))
}

async fn list(State(app): State<App>, list: List) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let models = app.catalog.read(objects::models)?;
        let models = models.iter().map(|model| views::model(app, model));
        list.answer(models.collect::<Result<Vec<_>>>()?)
    })
    .await
}

async fn one(State(app): State<App>, Path(text): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Model")?;
        let model = app
            .catalog
            .read(|documents| objects::model(documents, id))?;
        Ok(normal(views::model(app, &model)?))
    })
    .await
}

async fn create(State(app): State<App>, Payload(new): Payload<NewModel>) -> Answer {
    app.blocking(move |app| {
        discover(&app.store, &app.catalog)?;
        let version = match &new.version {
            Field::Absent | Field::Null => FIRST_VERSION,
            Field::Value(version) if !version.is_empty() => version.as_str(),
            Field::Value(_) => return Err(error::invalid("version is not a text")),
        };
        let definition = kept(&new.definition)?;
        let model = app.catalog.change(|documents| {
            let project = objects::project(documents, new.project_id)?;
            let new = objects::NewModel {
                project: &project,
                name: &new.name,
                version,
                origin: Origin::V3,
                definition,
                info: None,
            };
            objects::create_model(&app.store, documents, new)
        })?;
        make_folder(&app.store, &app.catalog, &model)?;
        Ok(normal(views::model(app, &model)?))
    })
    .await
}

async fn change(
    State(app): State<App>,
    Path(text): Path<String>,
    Payload(change): Payload<ModelChange>,
) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Model")?;
        let model = app.catalog.change(|documents| {
            let mut model = objects::model(documents, id)?;
            if !change.version.is_absent() && change.version.get() != Some(&model.version) {
                return Err(error::invalid("the version of a model cannot be changed"));
            }
            let mut definition: Definition =
                parse(model.definition.clone()).map_err(error::internal)?;
            change.apply(&mut definition);
            let definition = kept(&definition)?;
            check_change(&model, &definition)?;
            model.definition = definition;
            model.updated_at = Timestamp::now();
            documents.replace(MODEL, id, &model)?;
            Ok(model)
        })?;
        model.sink(&app.store, UNNAMED_BASELINE)?;
        app.counts.forget(id);
        Ok(normal(views::model(app, &model)?))
    })
    .await
}

/// A definition as the catalog keeps it.
fn kept(definition: &Definition) -> Result<Value> {
    serde_json::to_value(definition).map_err(error::internal)
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
        let job = views::job_of(&job);
        Ok(normal_with(StatusCode::ACCEPTED, Started { job }))
    })
    .await
}
