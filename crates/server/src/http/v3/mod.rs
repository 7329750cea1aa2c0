//! Routes of `fiddler-client` 3.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `list`, `filter` | pages of a list: which objects, in which order |
//! | `views` | objects as this client reads them |
//! | `info` | what a client asks first |
//! | `projects`, `models`, `environments`, `baselines` | those |
//! | `files` | uploads, whole and in parts |
//! | `factory` | the schema of a sample |
//! | `events` | events, their updates and deletion |
//! | `jobs` | jobs |
//! | `absent` | what Fiddler has and this server does not |

mod absent;
mod baselines;
mod environments;
mod events;
mod factory;
pub(crate) mod files;
mod filter;
mod info;
mod jobs;
mod list;
mod models;
mod projects;
pub(crate) mod views;

use axum::Router;
use uuid::Uuid;

use crate::App;
use crate::http::envelope::{Answer, ApiError};

pub(crate) use filter::Filter;
pub use list::List;

/// All of them, behind the token.
pub fn routes() -> Router<App> {
    Router::new()
        .merge(info::routes())
        .merge(projects::routes())
        .merge(files::routes())
        .merge(factory::routes())
        .merge(models::routes())
        .merge(events::routes())
        .merge(jobs::routes())
        .merge(environments::routes())
        .merge(baselines::routes())
        .merge(absent::routes())
}

/// The id in a path. One that is no UUID belongs to nothing.
pub(crate) fn id(text: &str, what: &str) -> Answer<Uuid> {
    text.parse().map_err(|_| ApiError::not_found(what))
}
