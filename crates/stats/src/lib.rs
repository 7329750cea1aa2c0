//! Drift statistics between a baseline and a window.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`vectors`] | [`Vectors`]: rows of one space |
//! | [`finding`] | [`DriftTest`], and the [`Answer`] that each gives: value, noise floor, effect, p-value, verdict |
//! | [`division`] | the two-sample permutation test, of rows or of blocks of rows |
//! | [`moments`] | [`Moments`]: mergeable sums of rows, and the covariance with Ledoit-Wolf shrinkage |
//! | [`hotelling`] | [`Hotelling`]: the distance of the means in units of the spread |
//! | [`mmd`] | [`Mmd`]: the exact maximum mean discrepancy, with a Gaussian kernel |
//! | [`energy`] | [`Energy`]: the energy distance |
//! | [`cluster`] | shares of k-means clusters, and the distances that Fiddler shows |

#[cfg(feature = "cluster-drift")]
pub mod cluster;
pub mod division;
pub mod energy;
pub mod finding;
mod gram;
pub mod hotelling;
pub mod mmd;
pub mod moments;
mod sides;
pub mod vectors;

#[cfg(feature = "cluster-drift")]
pub use cluster::{
    Clusters, DRIFT_FACTOR, Distance, Histogram, KMeans, KMeansConfig, jsd, noise_floor, psi,
};
pub use division::Null;
pub use energy::Energy;
pub use finding::{Answer, DriftTest, Finding, TestOptions, Verdict};
pub use hotelling::Hotelling;
pub use mmd::Mmd;
pub use moments::Moments;
pub use vectors::Vectors;
