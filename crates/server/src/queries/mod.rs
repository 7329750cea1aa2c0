//! Drift and other numbers, read back.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`counts`] | [`Counts`]: models whose rows were counted |
//! | [`monitoring`] | `POST /v3/queries`: metrics by time bin |
//! | [`histograms`] | `POST /v3/histograms`: a column of a bin beside the baseline |
//! | [`totals`] | `POST /v3/analytics/metrics`: metrics of a whole environment or time range |
//! | [`catalogue`] | `GET /v3/models/{id}/metrics`: which metrics and columns there are |
//! | [`reduction`] | `POST /v3/dimensionality-reduction/{id}`: embeddings in two dimensions |
//! | [`times`] | moments and time ranges as clients write them |

use axum::Router;
use axum::routing::{get, post};
use driftline_core::{Error, ErrorKind};
use driftline_metrics::{Column, Metric};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use crate::App;
use crate::catalog::Documents;
use crate::envelope::{Answer, ApiError};
use crate::objects::{self, BaselineKind, EnvironmentKind, Model};

pub mod catalogue;
pub mod counts;
pub mod histograms;
pub mod monitoring;
pub mod reduction;
pub mod times;
pub mod totals;

pub use counts::Counts;

/// All of them, behind the token.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v3/queries", post(monitoring::answer))
        .route("/v3/histograms", post(histograms::answer))
        .route("/v3/analytics/metrics", post(totals::answer))
        .route("/v3/models/{id}/metrics", get(catalogue::answer))
        .route("/v3/dimensionality-reduction/{id}", post(reduction::answer))
}

/// A baseline by its id and name, and the rows it stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedBaseline {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// Its model.
    pub model: Uuid,
    /// Which rows.
    pub rows: driftline_metrics::BaselineRows,
}

/// The baseline with this id.
///
/// # Errors
/// 404 without one, 400 if its time range or window is none.
pub fn baseline(documents: &Documents<'_>, id: Uuid) -> Answer<NamedBaseline> {
    let found: objects::Baseline = documents
        .get(objects::BASELINE, id)?
        .ok_or_else(|| ApiError::not_found("Baseline"))?;
    named_baseline(documents, found)
}

/// A baseline of the catalog, and the rows it stands for.
///
/// # Errors
/// 400 if its time range or window is none.
pub fn named_baseline(
    documents: &Documents<'_>,
    found: objects::Baseline,
) -> Answer<NamedBaseline> {
    let environment: Option<objects::Environment> =
        documents.get(objects::ENVIRONMENT, found.environment)?;
    let incomplete =
        |what: &str| ApiError::bad_request(format!("the baseline `{}` has no {what}", found.name));
    let rows = match (found.kind, environment) {
        (BaselineKind::Rolling, _) => {
            let size = found.window_bin_size.as_deref();
            let offset = found
                .offset_delta
                .and_then(|offset| u32::try_from(offset).ok());
            driftline_metrics::BaselineRows::Rolling {
                offset: offset
                    .filter(|offset| *offset > 0)
                    .ok_or_else(|| incomplete("offset of 1 or more"))?,
                size: size
                    .ok_or_else(|| incomplete("window"))?
                    .parse()
                    .map_err(refused)?,
            }
        }
        (BaselineKind::Static, Some(environment))
            if environment.kind == EnvironmentKind::PreProduction =>
        {
            driftline_metrics::BaselineRows::Environment {
                name: environment.name,
            }
        }
        (BaselineKind::Static, _) => driftline_metrics::BaselineRows::Production {
            start: times::epoch(found.start_time.ok_or_else(|| incomplete("start_time"))?)?,
            end: times::epoch(found.end_time.ok_or_else(|| incomplete("end_time"))?)?,
        },
    };
    Ok(NamedBaseline {
        id: found.id,
        name: found.name,
        model: found.model,
        rows,
    })
}

/// The baseline that a request names, which must be of the model; without one all rows of the baseline section.
pub(crate) fn baseline_of(
    documents: &Documents<'_>,
    model: &Model,
    id: Option<Uuid>,
) -> Answer<Option<NamedBaseline>> {
    let Some(id) = id else {
        return Ok(None);
    };
    let found = baseline(documents, id)?;
    if found.model == model.id {
        return Ok(Some(found));
    }
    let message = format!("the baseline `{}` is that of another model", found.name);
    Err(ApiError::bad_request(message))
}

pub(crate) fn rows_of(baseline: Option<&NamedBaseline>) -> &driftline_metrics::BaselineRows {
    baseline.map_or(&driftline_metrics::BaselineRows::Whole, |baseline| {
        &baseline.rows
    })
}

/// The column of a model by its name or id; the target goes by the name that the model has for it.
pub(crate) fn column(
    counted: &driftline_metrics::StoredModel,
    model: &Model,
    name: &str,
) -> Answer<Column> {
    if let Some(target) = model.monitored()?.target
        && (target == name || driftline_metrics::column::column_id(&target) == name)
    {
        return Ok(Column::Target);
    }
    counted.column(name).map_err(refused)
}

/// The name that a model has for a column.
pub(crate) fn column_name(
    counted: &driftline_metrics::StoredModel,
    model: &Model,
    column: Column,
) -> Answer<String> {
    let target = match column {
        Column::Target => model.monitored()?.target,
        _ => None,
    };
    Ok(target.unwrap_or_else(|| counted.column_name(column).to_owned()))
}

pub(crate) fn metric(name: &str) -> Answer<Metric> {
    name.parse().map_err(refused)
}

/// Something that a request names and that is not there makes the request a bad one.
pub(crate) fn refused(error: Error) -> ApiError {
    match error.kind() {
        ErrorKind::NotFound => ApiError::bad_request(error.to_string()),
        _ => error.into(),
    }
}

/// A body in the form that a route takes.
pub(crate) fn read<T: DeserializeOwned>(body: Value) -> Answer<T> {
    serde_json::from_value(body).map_err(|cause| {
        ApiError::bad_request(format!("the body is not what is taken here: {cause}"))
    })
}
