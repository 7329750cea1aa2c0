//! Drift and other numbers, read back.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `filter` | which bins a request is about |
//! | `monitoring` | `POST /v3/queries`: metrics by time bin |
//! | `histograms` | `POST /v3/histograms`: a column of a bin beside the baseline |
//! | `totals` | `POST /v3/analytics/metrics`: metrics of a whole environment or time range |
//! | `metrics` | `GET /v3/models/{id}/metrics`: which metrics and columns there are |
//! | `reduction` | `POST /v3/dimensionality-reduction/{id}`: embeddings in two dimensions |

use axum::Router;
use axum::routing::{get, post};

use crate::http::app::App;

mod filter;
mod histograms;
mod metrics;
mod monitoring;
mod reduction;
mod totals;

/// All of them, behind the token.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/v3/queries", post(monitoring::answer))
        .route("/v3/histograms", post(histograms::answer))
        .route("/v3/analytics/metrics", post(totals::answer))
        .route("/v3/models/{id}/metrics", get(metrics::answer))
        .route("/v3/dimensionality-reduction/{id}", post(reduction::answer))
}
