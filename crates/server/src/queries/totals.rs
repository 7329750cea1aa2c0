//! `POST /v3/analytics/metrics`: metrics of a whole environment or time range, without bins.

use axum::extract::State;
use driftline_metrics::{BaselineRows, BinSize, RowCounts, StoredModel};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::times::TimeRange;
use super::{baseline_of, column, metric, read, refused, rows_of};
use crate::App;
use crate::app::Payload;
use crate::envelope::{Answer, ApiError, normal};
use crate::objects::{self, Environment, EnvironmentKind};

#[derive(Deserialize)]
struct Request {
    model_id: Uuid,
    baseline_id: Option<Uuid>,
    /// An environment by its id; without it events.
    env_id: Option<Uuid>,
    time_range: Option<TimeRange>,
    metrics: Vec<Wanted>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wanted {
    OfRows(String),
    OfColumn {
        metric: String,
        column: Option<String>,
    },
}

/// Answers a list with a number for each of `metrics`, null where there is nothing to measure on.
pub async fn answer(State(app): State<App>, Payload(body): Payload) -> Answer {
    app.blocking(move |app| {
        let request: Request = read(body)?;
        let (model, baseline, environment) = app.catalog.read(|documents| {
            let model = objects::model(documents, request.model_id)?;
            let baseline = baseline_of(documents, &model, request.baseline_id)?;
            let environment = match request.env_id {
                Some(id) => {
                    let found: Option<Environment> = documents.get(objects::ENVIRONMENT, id)?;
                    let found = found.filter(|environment| environment.model == model.id);
                    Some(found.ok_or_else(|| ApiError::not_found("Environment"))?)
                }
                None => None,
            };
            Ok((model, baseline, environment))
        })?;
        let numbers = app.counts.with(app, &model, |counted| {
            let range = match &request.time_range {
                Some(range) => range.read()?,
                None => counted.extent(),
            };
            let rows = match environment {
                Some(Environment {
                    kind: EnvironmentKind::PreProduction,
                    name,
                    ..
                }) => counted
                    .baseline(&BaselineRows::Environment { name }, Timestamp::UNIX_EPOCH)
                    .map_err(refused)?,
                _ => events(counted, &range),
            };
            let before = counted
                .baseline(rows_of(baseline.as_ref()), range.start)
                .map_err(refused)?;
            let numbers = request.metrics.iter().map(|wanted| {
                let (name, of) = match wanted {
                    Wanted::OfRows(name) => (name, None),
                    Wanted::OfColumn { metric, column } => (metric, column.as_ref()),
                };
                let of = of.map(|name| column(counted, &model, name)).transpose()?;
                Ok(counted.measure(metric(name)?, of, &rows, &before)?)
            });
            numbers.collect::<Answer<Vec<Option<f64>>>>()
        })?;
        Ok(normal(
            numbers.into_iter().map(Value::from).collect::<Vec<_>>(),
        ))
    })
    .await
}

fn events(counted: &StoredModel, range: &std::ops::Range<Timestamp>) -> RowCounts {
    let mut whole = RowCounts::new(counted.binning());
    for bin in counted.bins(range, BinSize::Month) {
        whole.merge(&bin.counts);
    }
    whole
}
