//! Drift as a change in the shares of the clusters of the baseline's embeddings.
//!
//! A vendor holds a patent on clustering-based drift (US 11,836,163): whoever ships it decides, with the cargo feature
//! `cluster-drift`.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`kmeans`] | [`KMeans`]: clusters of the baseline's embeddings |
//! | [`clusters`] | [`Clusters`] and [`Histogram`]: rows in each cluster, mergeable |
//! | [`distance`] | [`jsd`], [`psi`] and [`noise_floor`] over two histograms |
//! | [`permutation`] | [`permutations`]: the two-sample permutation test from counts alone |

pub mod clusters;
pub mod distance;
pub mod kmeans;
pub mod permutation;

pub use clusters::{Clusters, Histogram};
pub use distance::{DRIFT_FACTOR, Distance, jsd, noise_floor, psi};
pub use kmeans::{KMeans, KMeansConfig};
pub use permutation::permutations;
