//! `POST /v3/analytics/metrics`: metrics of a whole environment or time range, without bins.

use axum::extract::State;
use driftline_core::Result;
use driftline_fiddler_api::v3::{MetricsRequest, WantedMetric};
use driftline_metrics::{BaselineRows, BinSize, RowCounts, StoredModel};
use jiff::Timestamp;

use super::filter;
use crate::domain::error::{self, refused};
use crate::domain::objects::{self, Environment, EnvironmentKind};
use crate::domain::queries::{baseline_of, column, metric, rows_of};
use crate::http::app::{App, Payload};
use crate::http::envelope::{Answer, normal};

/// Answers a list with a number for each of `metrics`, null where there is nothing to measure on.
pub(super) async fn answer(
    State(app): State<App>,
    Payload(request): Payload<MetricsRequest>,
) -> Answer {
    app.blocking(move |app| {
        let (model, baseline, environment) = app.catalog.read(|documents| {
            let model = objects::model(documents, request.model_id)?;
            let baseline = baseline_of(documents, &model, request.baseline_id)?;
            let environment = match request.env_id {
                Some(id) => {
                    let found: Option<Environment> = documents.get(objects::ENVIRONMENT, id)?;
                    let found = found.filter(|environment| environment.model == model.id);
                    Some(found.ok_or_else(|| error::not_found("Environment"))?)
                }
                None => None,
            };
            Ok((model, baseline, environment))
        })?;
        let numbers = app.counts.with(&model, |counted| {
            let range = match &request.time_range {
                Some(range) => filter::range(range)?,
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
                    WantedMetric::OfRows(name) => (name, None),
                    WantedMetric::OfColumn { metric, column } => (metric, column.as_ref()),
                };
                let of = of.map(|name| column(counted, &model, name)).transpose()?;
                counted.measure(metric(name)?, of, &rows, &before)
            });
            numbers.collect::<Result<Vec<Option<f64>>>>()
        })?;
        Ok(normal(numbers))
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
