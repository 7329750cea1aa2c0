//! Tells a running server to stop.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells a running server to stop. Clones belong together; any thread may call [`now`](Self::now).
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Shutdown {
    /// Stop: no new connections; requests and the running job are finished, within
    /// [`Limits::stop`](crate::http::limits::Limits::stop).
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    pub(crate) async fn wanted(&self) {
        let mut receiver = self.0.subscribe();
        // The sender is alive as long as `self`.
        let _closed = receiver.wait_for(|wanted| *wanted).await;
    }
}
