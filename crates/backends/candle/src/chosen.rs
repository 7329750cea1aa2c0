//! The instruction set that a user names.

use driftline_core::{Error, Precision, Result};
use driftline_kernels::Instructions;

/// Variable that names the instruction set, for a comparison or a test; without it the fastest one of the processor is used.
pub const VARIABLE: &str = "DRIFTLINE_CANDLE_INSTRUCTIONS";

/// The set that [`VARIABLE`] names, or the fastest of this processor for `precision`.
///
/// # Errors
/// `InvalidConfig` when the variable names no set, `Unsupported` when this processor has none for the precision. One that is
/// named and not there is refused by [`Network::new`](crate::Network::new).
pub fn chosen(precision: Precision) -> Result<Instructions> {
    match std::env::var(VARIABLE) {
        Ok(name) => name.parse().map_err(|error: Error| {
            let names = Instructions::ALL.map(|set| set.to_string()).join(", ");
            error
                .with("variable", VARIABLE)
                .remedy(format!("unset it for the fastest, or name one of {names}"))
        }),
        Err(_) => Instructions::fastest(precision),
    }
}
