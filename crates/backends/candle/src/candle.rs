//! candle itself: its version and its errors.

use driftline_core::{Error, ErrorKind};

/// Name and version.
pub(crate) const VERSION: &str = concat!("candle ", env!("CANDLE_VERSION"));

/// candle refused what the checks of model and images let through.
pub(crate) fn failed(operation: &'static str, cause: candle_core::Error) -> Error {
    Error::new(ErrorKind::Internal, operation, "candle could not do it").because(cause)
}
