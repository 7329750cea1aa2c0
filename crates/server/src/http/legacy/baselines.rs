//! Baselines.

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::get;
use driftline_core::Result;
use driftline_fiddler_api::v2::{self, BaselineType, NewBaseline};
use driftline_fiddler_api::{Empty, Field, Page};
use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

use super::models;
use super::requests::{Decoded, needed};
use crate::domain::catalog::Documents;
use crate::domain::error;
use crate::domain::objects::{
    self, BASELINE, Baseline, BaselineKind, EnvironmentKind, Model, PRODUCTION,
};
use crate::http::app::App;
use crate::http::envelope::{Answer, normal, paginated};

/// Lengths of windows: seconds here, words elsewhere.
const WINDOWS: [(i64, &str); 4] = [
    (3_600, "Hour"),
    (86_400, "Day"),
    (604_800, "Week"),
    (2_592_000, "Month"),
];

pub(super) fn routes() -> Router<App> {
    Router::new().route("/v2/baselines", get(list).post(create).delete(delete))
}

#[derive(Deserialize)]
struct Named {
    project_name: String,
    model_name: Option<String>,
    baseline_name: Option<String>,
}

/// The baselines that a query names, with their models.
fn named(documents: &Documents<'_>, query: &Named) -> Result<Vec<(Model, Baseline)>> {
    let models = match &query.model_name {
        Some(name) => vec![models::find(documents, &query.project_name, name)?],
        None => {
            let project = objects::project_by_name(documents, &query.project_name)?;
            let mut all = objects::models(documents)?;
            all.retain(|model| model.project == project.id);
            all
        }
    };
    let mut found = Vec::new();
    for model in models {
        for baseline in objects::baselines(documents, model.id)? {
            let wanted = query.baseline_name.as_ref();
            if wanted.is_none_or(|name| *name == baseline.name) {
                found.push((model.clone(), baseline));
            }
        }
    }
    Ok(found)
}

fn object(documents: &Documents<'_>, model: &Model, baseline: &Baseline) -> Result<v2::Baseline> {
    let environments = objects::environments(documents, model.id)?;
    let dataset = environments.iter().find(|environment| {
        environment.id == baseline.environment && environment.kind == EnvironmentKind::PreProduction
    });
    let kind = match (baseline.kind, dataset) {
        (BaselineKind::Rolling, _) => BaselineType::RollingProduction,
        (BaselineKind::Static, Some(_)) => BaselineType::PreProduction,
        (BaselineKind::Static, None) => BaselineType::StaticProduction,
    };
    let window = baseline.window_bin_size.as_deref();
    let seconds = WINDOWS.iter().find(|(_, name)| Some(*name) == window);
    let seconds = seconds.map(|(seconds, _)| *seconds);
    let offset = baseline.offset_delta.zip(seconds);
    Ok(v2::Baseline {
        id: Field::Absent,
        said: NewBaseline {
            name: baseline.name.clone(),
            project_name: model.project_name.clone(),
            organization_name: Some(super::names::ORGANIZATION.to_owned()),
            kind,
            model_name: model.name.clone(),
            dataset_name: dataset.map(|environment| environment.name.clone()),
            start_time: baseline.start_time,
            end_time: baseline.end_time,
            offset: offset.map(|(windows, seconds)| windows as i64 * seconds),
            window_size: seconds,
            run_async: false.into(),
        },
    })
}

async fn list(State(app): State<App>, Query(query): Query<Named>) -> Answer {
    app.blocking(move |app| {
        app.catalog.read(|documents| {
            let found = named(documents, &query)?;
            let items = found
                .iter()
                .map(|(model, baseline)| object(documents, model, baseline))
                .collect::<Result<_>>()?;
            Ok(paginated(Page::whole(items)))
        })
    })
    .await
}

async fn create(State(app): State<App>, Decoded(new): Decoded<NewBaseline>) -> Answer {
    app.blocking(move |app| {
        app.catalog.change(|documents| {
            let model = models::find(documents, &new.project_name, &new.model_name)?;
            let key = format!("{}/{}", model.id, new.name);
            let baseline = described(documents, new, &model)?;
            documents.insert(BASELINE, baseline.id, Some(&key), &baseline)?;
            Ok(normal(object(documents, &model, &baseline)?))
        })
    })
    .await
}

/// The baseline that a body describes.
fn described(documents: &Documents<'_>, new: NewBaseline, model: &Model) -> Result<Baseline> {
    let environment = |name: &str| {
        objects::environment(documents, model.id, name)?
            .map(|environment| environment.id)
            .ok_or_else(|| error::not_found("Dataset of the model"))
    };
    let now = Timestamp::now();
    let mut baseline = Baseline {
        id: Uuid::new_v4(),
        model: model.id,
        name: new.name,
        kind: BaselineKind::Static,
        environment: environment(PRODUCTION)?,
        start_time: None,
        end_time: None,
        offset_delta: None,
        window_bin_size: None,
        created_at: now,
        updated_at: now,
    };
    match new.kind {
        BaselineType::PreProduction => {
            baseline.environment = environment(&needed(
                Field::<String>::from(new.dataset_name),
                "dataset_name",
            )?)?;
        }
        BaselineType::StaticProduction => {
            let start = number(new.start_time, "start_time")?;
            let end = number(new.end_time, "end_time")?;
            if start >= end {
                return Err(error::invalid("start_time is not before end_time"));
            }
            (baseline.start_time, baseline.end_time) = (Some(start), Some(end));
        }
        BaselineType::RollingProduction => {
            let seconds = number(new.window_size, "window_size")?;
            let offset = number(new.offset, "offset")?;
            let Some((_, window)) = WINDOWS.iter().find(|(length, _)| *length == seconds) else {
                let message = format!(
                    "window_size is {seconds}, not the seconds of an hour, a day, a week or 30 days"
                );
                return Err(error::invalid(message));
            };
            if offset <= 0 || offset % seconds != 0 {
                let message =
                    format!("offset is {offset}, not a multiple of window_size, {seconds}");
                return Err(error::invalid(message));
            }
            baseline.kind = BaselineKind::Rolling;
            baseline.offset_delta = Some(offset.unsigned_abs() / seconds.unsigned_abs());
            baseline.window_bin_size = Some((*window).to_owned());
        }
    }
    Ok(baseline)
}

fn number(given: Option<i64>, name: &str) -> Result<i64> {
    given.ok_or_else(|| error::invalid(format!("this type of baseline needs the number `{name}`")))
}

async fn delete(State(app): State<App>, Query(query): Query<Named>) -> Answer {
    app.blocking(move |app| {
        app.catalog.change(|documents| {
            if query.model_name.is_none() || query.baseline_name.is_none() {
                let message = "a deletion needs model_name and baseline_name";
                return Err(error::invalid(message));
            }
            let found = named(documents, &query)?;
            if found.is_empty() {
                return Err(error::not_found("Baseline"));
            }
            for (_, baseline) in found {
                documents.delete(BASELINE, baseline.id)?;
            }
            Ok(normal(Empty {}))
        })
    })
    .await
}
