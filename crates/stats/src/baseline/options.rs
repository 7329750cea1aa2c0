//! How a baseline is compiled.

use serde::{Deserialize, Serialize};

use crate::cluster::DEFAULT_CLUSTERS;

/// How a baseline is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaselineOptions {
    /// Number of clusters that shares are counted over.
    pub clusters: usize,
    /// Seed of the clusters and of every subsample.
    pub seed: u64,
    /// Rows that are kept for the tests that look at rows; a subsample of a larger baseline.
    pub kept: usize,
    /// Consecutive rows that depend on each other, 1 for independent rows; see [`TestOptions::block`](crate::TestOptions::block).
    /// Windows are tested with it as well.
    pub block: usize,
}

impl Default for BaselineOptions {
    fn default() -> Self {
        Self {
            clusters: DEFAULT_CLUSTERS,
            seed: 42,
            kept: 5_000,
            block: 1,
        }
    }
}
