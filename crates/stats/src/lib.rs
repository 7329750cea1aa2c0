//! Drift statistics between a baseline and a window.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`mod@sample`] | [`Sample`]: embeddings, scores and image properties of rows |
//! | [`mod@baseline`] | [`Baseline`]: compiled once from a sample, asked about windows |
//! | [`mod@catalogue`] | [`Statistic`]: every statistic by its name |
//! | [`mod@explain`] | [`Explanation`]: what drifted, in words |
//! | [`mod@calibration`] | [`false_alarms()`] and [`power()`], measured on the user's own rows |
//! | [`mod@sequential`] | over many windows: control charts, the page budget, streams of rows |
//! | [`mod@multiple`] | many p-values: Benjamini-Hochberg, and one p-value of several |
//! | [`mod@profile`] | [`Profile`]: what is kept of rows when the rows are gone, mergeable |
//! | [`mod@profile_columns`] | profiles as Arrow columns, one row a bucket of time |
//! | [`mod@vectors`] | [`Vectors`]: rows of one space |
//! | [`mod@finding`] | [`DriftTest`], and the [`Answer`] that each gives: value, noise floor, effect, p-value, verdict |
//! | [`mod@autocorrelation`] | [`dependent_rows`]: over how many rows neighbours depend on each other |
//! | [`mod@division`] | the two-sample permutation test, of rows or of blocks of rows |
//! | [`mod@moments`] | [`Moments`]: mergeable sums of rows, and the covariance with Ledoit-Wolf shrinkage |
//! | [`mod@hotelling`] | [`Hotelling`]: the distance of the means in units of the spread |
//! | [`mod@mmd`] | [`Mmd`]: the maximum mean discrepancy, exact |
//! | [`mod@random_features`] | [`RandomFeatureMmd`]: the same from random Fourier features |
//! | [`mod@energy`] | [`Energy`]: the energy distance |
//! | [`mod@wasserstein`] | [`SlicedWasserstein`]: the Wasserstein distance along random directions |
//! | [`mod@centroid`] | [`Centroid`]: the Euclidean or cosine distance of the means |
//! | [`mod@frechet`] | [`Frechet`]: the Fréchet distance, of all rows and of each class |
//! | [`mod@ks`] | [`ks()`]: the test of Kolmogorov and Smirnov |
//! | [`mod@components`] | [`DriftedComponents`]: the share of components that drifted |
//! | [`mod@neighbours`] | [`OutlierShare`]: rows that are far from every row of the baseline |
//! | [`mod@reconstruction`] | [`Reconstruction`]: how well the baseline's principal components describe rows |
//! | [`mod@classifier`] | [`DomainClassifier`]: whether a classifier can tell the two sides apart |
//! | [`mod@scores`] | [`ScoreShift`] and [`PredictionShift`]: the model's own outputs |
//! | [`mod@accuracy`] | [`EstimatedAccuracy`]: accuracy without labels, from confidence |
//! | [`mod@distance`] | [`Distance`]: how far two histograms are apart, with those that Fiddler shows |
//! | [`mod@counts`] | tests of two histograms: permutation of the rows, and the G-test |
//! | [`mod@cluster`] | shares of k-means clusters |
//!
//! Without the cargo feature `cluster-drift` there is nothing that looks at clusters: no [`Baseline`] and what stands on it, but each
//! statistic as a [`DriftTest`] of its own.

pub mod accuracy;
pub mod autocorrelation;
#[cfg(feature = "cluster-drift")]
pub mod baseline;
#[cfg(feature = "cluster-drift")]
pub mod calibration;
#[cfg(feature = "cluster-drift")]
pub mod catalogue;
pub mod centroid;
pub mod classifier;
#[cfg(feature = "cluster-drift")]
pub mod cluster;
pub mod components;
pub mod counts;
pub mod distance;
pub mod division;
pub mod energy;
#[cfg(feature = "cluster-drift")]
pub mod explain;
pub mod finding;
pub mod frechet;
mod gram;
mod halves;
pub mod hotelling;
pub mod ks;
pub mod mmd;
pub mod moments;
pub mod multiple;
pub mod neighbours;
#[cfg(feature = "cluster-drift")]
pub mod profile;
#[cfg(feature = "cluster-drift")]
pub mod profile_columns;
pub mod random_features;
pub mod reconstruction;
#[cfg(feature = "cluster-drift")]
pub mod sample;
pub mod scores;
pub mod sequential;
mod sides;
pub mod vectors;
pub mod wasserstein;

pub use accuracy::{Accuracy, Estimate, EstimatedAccuracy};
pub use autocorrelation::dependent_rows;
#[cfg(feature = "cluster-drift")]
pub use baseline::{Baseline, BaselineOptions, Check, Compiled};
#[cfg(feature = "cluster-drift")]
pub use calibration::{Calibration, CleanWindows, FalseAlarms, Power, false_alarms, power};
#[cfg(feature = "cluster-drift")]
pub use catalogue::Statistic;
pub use centroid::{Centroid, CentroidDistance};
pub use classifier::{Classifier, DomainClassifier};
#[cfg(feature = "cluster-drift")]
pub use cluster::{ClusterShares, Clusters, Histogram, KMeans, KMeansConfig};
pub use components::DriftedComponents;
pub use counts::{GTest, g_test};
pub use distance::{
    Distance, bias_corrected_jsd, drift_factor, hellinger, jsd, jsd_p_value, kl, noise_floor, psi,
    total_variation,
};
pub use division::Null;
pub use energy::Energy;
#[cfg(feature = "cluster-drift")]
pub use explain::{ClassChange, ExpectedAccuracy, Explanation, PropertyChange, ShareChange};
pub use finding::{Answer, DriftTest, Finding, TestOptions, Verdict};
pub use frechet::{Frechet, FrechetByClass};
pub use hotelling::Hotelling;
pub use ks::ks;
pub use mmd::Mmd;
pub use moments::Moments;
pub use neighbours::OutlierShare;
#[cfg(feature = "cluster-drift")]
pub use profile::{Profile, ProfilePlan};
#[cfg(feature = "cluster-drift")]
pub use profile_columns::Bucket;
pub use random_features::RandomFeatureMmd;
pub use reconstruction::Reconstruction;
#[cfg(feature = "cluster-drift")]
pub use sample::{Sample, Space};
pub use scores::{PredictionShift, ScoreShift};
pub use vectors::Vectors;
pub use wasserstein::SlicedWasserstein;
