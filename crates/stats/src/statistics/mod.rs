//! The statistics, each fitted to a baseline to test windows, and [`Statistic`]: all of them by name.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `statistic` | [`Statistic`]: names, descriptions, and what rows each looks at |
//! | `hotelling` | [`Hotelling`]: the distance of the means in units of the spread |
//! | `centroid` | [`Centroid`]: the Euclidean or cosine distance of the means |
//! | `random_features`, `mmd` | [`RandomFeatureMmd`], [`Mmd`]: the maximum mean discrepancy, from random Fourier features and exact |
//! | `energy` | [`Energy`]: the energy distance |
//! | `pairwise` | sums over all pairs of rows, for the two before |
//! | `wasserstein` | [`SlicedWasserstein`]: the Wasserstein distance along random directions |
//! | `frechet` | [`Frechet`], [`FrechetByClass`]: the Fréchet distance, of all rows and of each class |
//! | `kolmogorov_smirnov` | [`ks()`]: the Kolmogorov-Smirnov test |
//! | `components` | [`DriftedComponents`]: the share of components that drifted |
//! | `outliers` | [`OutlierShare`]: rows that are far from every row of the baseline |
//! | `reconstruction` | [`Reconstruction`]: the error of the baseline's principal components |
//! | `classifier` | [`DomainClassifier`]: whether a classifier can tell baseline and window apart |
//! | `scores` | [`ScoreShift`], [`PredictionShift`]: the model's own outputs |
//! | `accuracy` | [`EstimatedAccuracy`]: accuracy without labels, from confidence |
//! | `distance`, `histograms` | [`Distance`]: how far two histograms are apart, and the tests of it |

mod accuracy;
mod centroid;
mod classifier;
mod components;
mod distance;
mod energy;
mod frechet;
mod histograms;
mod hotelling;
mod kolmogorov_smirnov;
mod mmd;
mod outliers;
mod pairwise;
mod random_features;
mod reconstruction;
mod scores;
mod statistic;
mod wasserstein;

pub use accuracy::{Accuracy, Estimate, EstimatedAccuracy};
pub use centroid::{Centroid, CentroidDistance};
pub use classifier::{Classifier, DomainClassifier, roc_auc};
pub use components::DriftedComponents;
pub use distance::{
    Distance, bias_corrected_jsd, drift_factor, hellinger, jsd, jsd_p_value, kl, noise_floor, psi,
    total_variation,
};
pub use energy::Energy;
pub use frechet::{
    DRIFTLENS_COMPONENTS, DRIFTLENS_COMPONENTS_PER_LABEL, Frechet, FrechetByClass, frechet,
};
pub(crate) use histograms::histogram_test;
pub use histograms::{GTest, g_test};
pub use hotelling::Hotelling;
pub use kolmogorov_smirnov::ks;
pub use mmd::Mmd;
pub use outliers::OutlierShare;
pub(crate) use random_features::FEATURES;
pub use random_features::RandomFeatureMmd;
pub use reconstruction::Reconstruction;
pub use scores::{PredictionShift, ScoreShift};
pub use statistic::Statistic;
pub use wasserstein::SlicedWasserstein;
