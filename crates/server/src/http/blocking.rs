//! Work that may block.

use driftline_core::Result;

use crate::domain::error;
use crate::http::envelope::Answer;

/// Runs `work` outside of the threads that serve connections.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Answer<T> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(error::internal)??)
}
