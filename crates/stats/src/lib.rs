//! Drift statistics between a baseline and a window.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`kmeans`] | [`KMeans`]: clusters of the baseline's embeddings |
//! | [`baseline`] | [`Baseline`] and [`Histogram`]: shares of the clusters, mergeable |
//! | [`permutation`] | [`Permutations`]: what chance alone makes of a statistic at this size, and p-values |
//! | [`distance`] | [`jsd`], [`psi`] and [`noise_floor`] over two histograms, and when a window has drifted |
//!
//! All of it is cluster-based drift, on which a vendor holds a patent (US 11,836,163): whoever ships it decides.

pub mod baseline;
pub mod distance;
pub mod kmeans;
pub mod permutation;

pub use baseline::{Baseline, Histogram};
pub use distance::{DRIFT_FACTOR, Statistic, jsd, noise_floor, psi};
pub use kmeans::{KMeans, KMeansConfig};
pub use permutation::Permutations;
