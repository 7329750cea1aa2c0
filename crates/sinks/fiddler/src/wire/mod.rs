//! The server's interface: what is asked in which order.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `protocol` | [`Wire`]: what every generation does |
//! | `v3`, `v2` | the generations |
//! | `existing` | a model that is there already |
//! | `profile` | what V2 wants to know about a data set |

mod existing;
mod profile;
mod protocol;
mod v2;
mod v3;

use driftline_core::{Error, Result};
use reqwest::Url;

use crate::answer::Failed;
use crate::config::{Api, Settings, needs_organization};
use crate::pace::Stop;

pub use protocol::Server;
pub(crate) use protocol::{Job, Wire, no_model};

/// Finds out which generation the server speaks, and greets it.
pub(crate) fn connect(settings: &Settings, stop: &Stop) -> Result<(Box<dyn Wire>, Server)> {
    if settings.api != Api::V2 {
        let mut v3 = v3::V3::new(settings, stop.clone())?;
        match v3.greet() {
            Ok(server) => return Ok((Box::new(v3), server)),
            Err(failed) if settings.api == Api::Auto && failed.is(&[404, 405]) => {}
            Err(failed) => return Err(at(&settings.url, failed)),
        }
    }
    let organization = settings.organization.clone();
    let organization = organization.ok_or_else(needs_organization)?;
    let mut v2 = v2::V2::new(settings, organization, stop.clone())?;
    let server = v2.greet().map_err(|failed| at(&settings.url, failed))?;
    Ok((Box::new(v2), server))
}

fn at(url: &Url, failed: Failed) -> Error {
    failed.error.with("url", url)
}
