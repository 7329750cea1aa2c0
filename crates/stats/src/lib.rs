//! Drift statistics between a baseline and a window.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`sample`] | [`Sample`]: embeddings, scores and image properties of rows |
//! | [`baseline`] | [`Baseline`]: compiled once from a sample, asked about windows |
//! | [`profile`] | [`Profile`]: what is kept of rows when the rows are gone, mergeable |
//! | [`catalogue`] | [`Statistic`]: every statistic by its name |
//! | [`vectors`] | [`Vectors`]: rows of one space |
//! | [`finding`] | [`DriftTest`], and the [`Answer`] that each gives: value, noise floor, effect, p-value, verdict |
//! | [`division`] | the two-sample permutation test, of rows or of blocks of rows |
//! | [`moments`] | [`Moments`]: mergeable sums of rows, and the covariance with Ledoit-Wolf shrinkage |
//! | [`hotelling`] | [`Hotelling`]: the distance of the means in units of the spread |
//! | [`cluster`] | shares of k-means clusters, and the distances that Fiddler shows |

pub mod baseline;
pub mod catalogue;
#[cfg(feature = "cluster-drift")]
pub mod cluster;
pub mod division;
pub mod finding;
pub mod hotelling;
pub mod moments;
pub mod profile;
pub mod sample;
pub mod vectors;

pub use baseline::{Baseline, BaselineOptions, Check, Compiled};
pub use catalogue::Statistic;
#[cfg(feature = "cluster-drift")]
pub use cluster::{
    Clusters, DRIFT_FACTOR, Distance, Histogram, KMeans, KMeansConfig, jsd, noise_floor, psi,
};
pub use division::Null;
pub use finding::{Answer, DriftTest, Finding, TestOptions, Verdict};
pub use hotelling::Hotelling;
pub use moments::Moments;
pub use profile::{Profile, ProfilePlan};
pub use sample::{Sample, Space};
pub use vectors::Vectors;
