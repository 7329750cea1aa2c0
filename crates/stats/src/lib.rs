//! Drift statistics between a baseline and a window.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`vectors`] | [`Vectors`]: rows of one space |
//! | [`finding`] | [`DriftTest`], and the [`Answer`] that each gives: value, noise floor, effect, p-value, verdict |
//! | [`division`] | the two-sample permutation test, of rows or of blocks of rows |
//! | [`moments`] | [`Moments`]: mergeable sums of rows, and the covariance with Ledoit-Wolf shrinkage |
//! | [`hotelling`] | [`Hotelling`]: the distance of the means in units of the spread |
//! | [`frechet`] | [`Frechet`]: the Fréchet distance, of all rows and of each class |
//! | [`neighbours`] | [`OutlierShare`]: rows that are far from every row of the baseline |
//! | [`reconstruction`] | [`Reconstruction`]: how well the baseline's principal components describe rows |
//! | [`classifier`] | [`DomainClassifier`]: whether a classifier can tell the two sides apart |
//! | [`cluster`] | shares of k-means clusters, and the distances that Fiddler shows |

pub mod classifier;
#[cfg(feature = "cluster-drift")]
pub mod cluster;
pub mod division;
pub mod finding;
pub mod frechet;
mod halves;
pub mod hotelling;
pub mod moments;
pub mod neighbours;
pub mod reconstruction;
pub mod vectors;

pub use classifier::{Classifier, DomainClassifier};
#[cfg(feature = "cluster-drift")]
pub use cluster::{
    Clusters, DRIFT_FACTOR, Distance, Histogram, KMeans, KMeansConfig, jsd, noise_floor, psi,
};
pub use division::Null;
pub use finding::{Answer, DriftTest, Finding, TestOptions, Verdict};
pub use frechet::{Frechet, FrechetByClass};
pub use hotelling::Hotelling;
pub use moments::Moments;
pub use neighbours::OutlierShare;
pub use reconstruction::Reconstruction;
pub use vectors::Vectors;
