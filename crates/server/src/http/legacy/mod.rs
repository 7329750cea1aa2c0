//! Routes of `fiddler-client` 1 and 2.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `names` | names in paths, and which generation asks |
//! | `requests` | what requests have in common |
//! | `handshake` | what a client asks first |
//! | `projects` | projects |
//! | `uploads` | files, whole and in parts |
//! | `datasets` | data sets, which come before models |
//! | `info` | a model's `info`, and the definition that it means |
//! | `models` | models, and what client 1 calls after adding one |
//! | `events` | events and their updates |
//! | `baselines` | baselines |
//! | `alerts` | alert rules |
//! | `jobs` | jobs |

mod alerts;
mod baselines;
mod datasets;
mod events;
mod handshake;
mod info;
mod jobs;
mod models;
mod names;
mod projects;
mod requests;
mod uploads;

use axum::Router;

use crate::http::app::App;

/// All of them, behind the token.
pub(crate) fn routes() -> Router<App> {
    Router::new()
        .merge(handshake::routes())
        .merge(projects::routes())
        .merge(uploads::routes())
        .merge(datasets::routes())
        .merge(models::routes())
        .merge(events::routes())
        .merge(baselines::routes())
        .merge(alerts::routes())
        .merge(jobs::routes())
}
