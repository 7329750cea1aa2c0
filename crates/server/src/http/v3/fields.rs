//! Ids in paths.

use driftline_core::Result;
use uuid::Uuid;

use crate::domain::error;

/// The id in a path. One that is no UUID belongs to nothing.
pub(crate) fn id(text: &str, what: &str) -> Result<Uuid> {
    text.parse().map_err(|_| error::not_found(what))
}
