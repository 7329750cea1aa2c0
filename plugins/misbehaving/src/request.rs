//! What is asked for.

use std::time::Duration;

/// The variable that says what to do wrong.
const VARIABLE: &str = "DRIFTLINE_MISBEHAVE";

/// What to do wrong; nothing where it is empty.
pub(crate) fn how() -> String {
    std::env::var(VARIABLE).unwrap_or_default()
}

/// For ever, as far as a test can tell.
pub(crate) fn hang() {
    std::thread::sleep(Duration::from_secs(3600));
}
