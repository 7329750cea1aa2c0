//! Bodies in the form that a route takes.

use driftline_core::Result;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::error;

/// A body in the form that a route takes.
pub(crate) fn read<T: DeserializeOwned>(body: Value) -> Result<T> {
    serde_json::from_value(body)
        .map_err(|cause| error::invalid(format!("the body is not what is taken here: {cause}")))
}
