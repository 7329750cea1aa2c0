//! Drift statistics between a baseline and a window.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`vectors`] | [`Vectors`]: rows of one space |
//! | [`finding`] | [`DriftTest`], and the [`Answer`] that each gives: value, noise floor, effect, p-value, verdict |
//! | [`division`] | the two-sample permutation test, of rows or of blocks of rows |
//! | [`moments`] | [`Moments`]: mergeable sums of rows, and the covariance with Ledoit-Wolf shrinkage |
//! | [`hotelling`] | [`Hotelling`]: the distance of the means in units of the spread |
//! | [`distance`] | [`Distance`]: how far two histograms are apart, with those that Fiddler shows |
//! | [`counts`] | tests from counts alone: permutation, and the G-test |
//! | [`mod@ks`] | the Kolmogorov-Smirnov test of one component |
//! | [`components`] | [`DriftedComponents`]: the share of components that drifted |
//! | [`scores`] | [`ScoreShift`] and [`PredictionShift`]: drift of what a model says |
//! | [`accuracy`] | [`EstimatedAccuracy`]: how often a model is right where no labels are |
//! | [`cluster`] | shares of k-means clusters |

pub mod accuracy;
#[cfg(feature = "cluster-drift")]
pub mod cluster;
pub mod components;
pub mod counts;
pub mod distance;
pub mod division;
pub mod finding;
pub mod hotelling;
pub mod ks;
pub mod moments;
pub mod scores;
pub mod vectors;

pub use accuracy::{Accuracy, Estimate, EstimatedAccuracy};
#[cfg(feature = "cluster-drift")]
pub use cluster::{ClusterShares, Clusters, Histogram, KMeans, KMeansConfig};
pub use components::DriftedComponents;
pub use counts::{GTest, g_test, permutations};
pub use distance::{
    DRIFT_FACTOR, Distance, bias_corrected_jsd, hellinger, jsd, kl, noise_floor, psi,
    total_variation,
};
pub use division::Null;
pub use finding::{Answer, DriftTest, Finding, TestOptions, Verdict};
pub use hotelling::Hotelling;
pub use ks::ks;
pub use moments::Moments;
pub use scores::{PredictionShift, ScoreShift};
pub use vectors::Vectors;
