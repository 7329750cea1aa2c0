//! How much of what clients sent is kept, and for how long.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// How much of what clients sent is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// How often is looked for what is not needed.
    pub every: Duration,
    /// Bytes of all uploads together, whole, in parts, and being received; one more is refused.
    pub upload_bytes: u64,
    /// How long an upload is kept that no data set and no waiting job names.
    pub uploads_for: Duration,
    /// Finished jobs that are kept, the newest.
    pub jobs: u64,
    /// How long a finished job is kept at most.
    pub jobs_for: Duration,
    /// How long it is kept at least, however many there are: clients ask for it, and send requests again.
    pub jobs_at_least: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(600),
            upload_bytes: 32 << 30,
            uploads_for: 7 * DAY,
            jobs: 100_000,
            jobs_for: 30 * DAY,
            jobs_at_least: Duration::from_secs(600),
        }
    }
}
