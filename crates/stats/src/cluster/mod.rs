//! Drift as a change in the shares of the clusters of the baseline's embeddings.
//!
//! A vendor holds a patent on clustering-based drift (US 11,836,163): whoever ships it decides, with the cargo feature
//! `cluster-drift`.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`kmeans`] | [`KMeans`]: clusters of the baseline's embeddings |
//! | [`clusters`] | [`Clusters`] and [`Histogram`]: rows in each cluster, mergeable |
//! | [`shares`] | [`ClusterShares`]: the test of a window |

pub mod clusters;
pub mod kmeans;
pub mod shares;

pub use clusters::{Clusters, Histogram};
pub use kmeans::{KMeans, KMeansConfig};
pub use shares::ClusterShares;
