//! Drift as a change in the shares of the clusters of the baseline's embeddings.
//!
//! A vendor holds a patent on clustering-based drift (US 11,836,163): whoever ships this module decides.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `kmeans` | [`KMeans`]: clusters of the baseline's embeddings |
//! | `clusters` | [`Clusters`] and [`Histogram`]: rows in each cluster, mergeable |
//! | `shares` | [`ClusterShares`]: the test of a window |

mod clusters;
mod kmeans;
mod shares;

pub use clusters::{Clusters, Histogram};
pub use kmeans::{DEFAULT_CLUSTERS, KMeans, KMeansConfig};
pub use shares::ClusterShares;
