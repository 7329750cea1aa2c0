//! Drift and other numbers, read back.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`monitoring`] | `POST /v3/queries`: metrics by time bin |
//! | [`histograms`] | `POST /v3/histograms`: a column of a bin beside the baseline |
//! | [`totals`] | `POST /v3/analytics/metrics`: metrics of a whole environment or time range |
//! | [`metrics`] | `GET /v3/models/{id}/metrics`: which metrics and columns there are |
//! | [`reduction`] | `POST /v3/dimensionality-reduction/{id}`: embeddings in two dimensions |

use axum::Router;
use axum::routing::{get, post};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::App;
use crate::http::envelope::{Answer, ApiError};

pub mod histograms;
pub mod metrics;
pub mod monitoring;
pub mod reduction;
pub mod totals;

/// All of them, behind the token.
pub fn routes() -> Router<App> {
    Router::new()
        .route("/v3/queries", post(monitoring::answer))
        .route("/v3/histograms", post(histograms::answer))
        .route("/v3/analytics/metrics", post(totals::answer))
        .route("/v3/models/{id}/metrics", get(metrics::answer))
        .route("/v3/dimensionality-reduction/{id}", post(reduction::answer))
}

/// A body in the form that a route takes.
pub(crate) fn read<T: DeserializeOwned>(body: Value) -> Answer<T> {
    serde_json::from_value(body).map_err(|cause| {
        ApiError::bad_request(format!("the body is not what is taken here: {cause}"))
    })
}
