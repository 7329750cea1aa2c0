//! Baselines.

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use driftline_core::Result;
use driftline_fiddler_api::v3::{self, BaselineType, EnvironmentType, NewBaseline};
use driftline_fiddler_api::{Empty, Field};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::fields::id;
use super::list::List;
use super::{environments, views};
use crate::domain::discovery::discover_environments;
use crate::domain::objects::{
    self, BASELINE, Baseline, BaselineKind, EnvironmentKind, Model, PRODUCTION,
};
use crate::domain::{error, times};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};

const LONGEST_NAME: usize = 255;
const BIN_SIZES: [&str; 4] = ["Hour", "Day", "Week", "Month"];

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/v3/baselines", get(list).post(create))
        .route("/v3/baselines/{id}", get(one).delete(delete))
        .route("/v3/models/{id}/baselines", get(of_model))
}

async fn list(State(app): State<App>, list: List) -> Answer {
    list.of_models(&app, objects_of).await
}

async fn of_model(State(app): State<App>, Path(text): Path<String>, list: List) -> Answer {
    list.of_model(&app, text, objects_of).await
}

async fn one(State(app): State<App>, Path(text): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Baseline")?;
        let (baseline, model) = app.catalog.read(|documents| {
            let found: Option<Baseline> = documents.get(BASELINE, id)?;
            let baseline = found.ok_or_else(|| error::not_found("Baseline"))?;
            let model = objects::model(documents, baseline.model)?;
            Ok((baseline, model))
        })?;
        Ok(normal(object(app, &baseline, &model)?))
    })
    .await
}

async fn create(State(app): State<App>, Payload(new): Payload<NewBaseline>) -> Answer {
    app.blocking(move |app| {
        let model = app
            .catalog
            .read(|documents| objects::model(documents, new.model_id))?;
        let baseline = read(app, &model, new)?;
        let key = format!("{}/{}", model.id, baseline.name);
        app.catalog
            .change(|documents| documents.insert(BASELINE, baseline.id, Some(&key), &baseline))?;
        Ok(normal(object(app, &baseline, &model)?))
    })
    .await
}

async fn delete(State(app): State<App>, Path(text): Path<String>) -> Answer {
    app.blocking(move |app| {
        let id = id(&text, "Baseline")?;
        match app
            .catalog
            .change(|documents| documents.delete(BASELINE, id))?
        {
            true => Ok(normal(Empty {})),
            false => Err(error::not_found("Baseline")),
        }
    })
    .await
}

fn read(app: &App, model: &Model, new: NewBaseline) -> Result<Baseline> {
    let name = new.name;
    if name.is_empty() || name.len() > LONGEST_NAME {
        let message = format!("the name of a baseline has 1 to {LONGEST_NAME} bytes");
        return Err(error::invalid(message));
    }
    let kind = match new.kind {
        BaselineType::Static => BaselineKind::Static,
        BaselineType::Rolling => BaselineKind::Rolling,
    };
    let production = new.env_type == EnvironmentType::Production;
    let environment = match (new.env_id, production) {
        (None, true) => app
            .catalog
            .read(|documents| objects::environment(documents, model.id, PRODUCTION))?
            .ok_or_else(|| error::not_found("Environment"))?,
        (None, false) => {
            return Err(error::invalid("a pre-production baseline needs an env_id"));
        }
        (Some(id), _) => environments::of(app, model, id)?,
    };
    if production != (environment.kind == EnvironmentKind::Production) {
        return Err(error::invalid("env_id and env_type do not belong together"));
    }
    let time = |time: Field<Value>| match time.into_value() {
        None => Ok(None),
        Some(given) => match given.as_i64() {
            Some(number) => times::epoch(number).map(|_| Some(number)),
            None => times::moment(&given).map(|moment| Some(moment.as_millisecond())),
        },
    };
    let (start_time, end_time) = (time(new.start_time)?, time(new.end_time)?);
    let offset_delta = new.offset_delta.into_value();
    let window_bin_size = new.window_bin_size.into_value();
    match (kind, production) {
        (BaselineKind::Static, true) => match (start_time, end_time) {
            (Some(start), Some(end)) if times::epoch(start)? < times::epoch(end)? => {}
            _ => {
                return Err(error::invalid(
                    "a static baseline of production needs a start_time before its end_time",
                ));
            }
        },
        (BaselineKind::Rolling, true) => {
            if offset_delta.is_none_or(|offset| offset == 0 || offset > 10_000)
                || !window_bin_size
                    .as_deref()
                    .is_some_and(|size| BIN_SIZES.contains(&size))
            {
                let sizes = BIN_SIZES.join(", ");
                let message = format!(
                    "a rolling baseline needs an offset_delta of 1 to 10000 and a window_bin_size of {sizes}"
                );
                return Err(error::invalid(message));
            }
        }
        (BaselineKind::Rolling, false) => {
            return Err(error::invalid("a rolling baseline is of production"));
        }
        (BaselineKind::Static, false) => {}
    }
    let now = Timestamp::now();
    Ok(Baseline {
        id: Uuid::new_v4(),
        model: model.id,
        name,
        kind,
        environment: environment.id,
        start_time,
        end_time,
        offset_delta,
        window_bin_size,
        created_at: now,
        updated_at: now,
    })
}

fn objects_of(app: &App, model: &Model) -> Result<Vec<v3::Baseline>> {
    discover_environments(&app.catalog, &app.counts, model)?;
    let baselines = app
        .catalog
        .read(|documents| objects::baselines(documents, model.id))?;
    baselines
        .iter()
        .map(|baseline| object(app, baseline, model))
        .collect()
}

fn object(app: &App, baseline: &Baseline, model: &Model) -> Result<v3::Baseline> {
    let environment = environments::of(app, model, baseline.environment)?;
    let rows = environments::rows(app, model, &environment)?;
    Ok(views::baseline(app, baseline, model, &environment, rows))
}
