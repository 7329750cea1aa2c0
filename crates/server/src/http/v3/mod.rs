//! Routes of `fiddler-client` 3.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `list`, `filter` | which objects of a list, in which order |
//! | `fields` | ids in paths |
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
mod fields;
mod files;
mod filter;
mod info;
mod jobs;
mod list;
mod models;
mod projects;
pub(crate) mod views;

use axum::Router;

use crate::http::app::App;

pub(crate) use fields::id;
pub(crate) use filter::Filter;
pub(crate) use list::List;

/// All of them, behind the token.
pub(crate) fn routes() -> Router<App> {
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
