//! What the worker counts.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

/// A finished job's outcome, as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Outcome {
    pub(crate) status: String,
}

/// Counters since the start of the process. A clone counts the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) accepted_rows: Counter,
    pub(crate) duplicate_rows: Counter,
    pub(crate) jobs: Family<Outcome, Counter>,
    pub(crate) worker_restarts: Counter,
}
