//! Drift statistics between a baseline and a window.
//!
//! A [`Baseline`] is compiled once from a [`Sample`] of rows; [`Baseline::check`] tests windows against it, and
//! [`Baseline::explain`] says what drifted.
//!
//! ```
//! use driftline_core::RowSchema;
//! use driftline_stats::{Baseline, BaselineOptions, Sample, Statistic, TestOptions, Verdict};
//!
//! # fn main() -> driftline_core::Result<()> {
//! // 300 embeddings of 4 values, and 100 whose last value moved.
//! let embeddings = |rows: usize, moved: f32| -> Vec<f32> {
//!     let value = |i: usize| (i * 7919 % 1009) as f32 / 1009.0;
//!     let moved = |i: usize| if i % 4 == 3 { moved } else { 0.0 };
//!     (0..4 * rows).map(|i| value(i) + moved(i)).collect()
//! };
//! let schema = RowSchema::new(4, vec![])?;
//! let sample = |embeddings| Sample::from_parts(schema.clone(), embeddings, vec![], vec![]);
//!
//! let baseline = Baseline::compile(&sample(embeddings(300, 0.0))?, BaselineOptions::default())?;
//! let statistics = [Statistic::Hotelling, Statistic::Mmd];
//! let check = |window: Sample| baseline.check(&window, &statistics, &TestOptions::default());
//!
//! assert_eq!(check(sample(embeddings(100, 0.0))?)?.verdict, Verdict::None);
//! let drifted = check(sample(embeddings(100, 0.5))?)?;
//! assert_eq!(drifted.verdict, Verdict::Drift);
//! let result = drifted.statistics[&Statistic::Hotelling].result().expect("enough rows");
//! assert!(result.effect > result.minimum_detectable_effect);
//! # Ok(())
//! # }
//! ```
//!
//! Each statistic is also a [`DriftTest`] of its own, fitted to the rows of a baseline: [`Hotelling`], [`RandomFeatureMmd`],
//! [`OutlierShare`], [`Frechet`] and so on.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `vectors`, `sample` | [`Vectors`]: rows of one space; [`Sample`]: embeddings, scores and image properties of rows |
//! | `outcome` | [`DriftTest`], [`TestOptions`], and the [`TestOutcome`]: value, noise floor, effect, p-value, verdict |
//! | `moments` | [`Moments`]: mergeable sums of rows, and the covariance with Ledoit-Wolf shrinkage |
//! | `multiple_testing` | [`benjamini_hochberg()`] and [`bonferroni()`] |
//! | `subsample` | [`subsample()`]: some of many rows, in little memory |
//! | `permutation` | [`NullDistribution`]: the two-sample permutation test, of rows or of blocks of rows; [`block_length`] |
//! | `statistics` | [`Statistic`]: every statistic, by name and as a type |
//! | `cluster` | [`Clusters`], [`ClusterShares`]: shares of k-means clusters |
//! | `profile` | [`Profile`]: what is kept of rows when the rows are gone, mergeable; as Arrow columns |
//! | `baseline` | [`Baseline`], [`Check`]; [`false_alarms()`] and [`power()`], measured on the user's own rows |
//! | `explain` | [`Explanation`]: what drifted, in words |
//! | `sequential` | [`AlertBudget`], control charts and [`OnlineTest`]: over many windows, or a stream of rows |

mod baseline;
mod cluster;
mod explain;
mod moments;
mod multiple_testing;
mod outcome;
mod permutation;
mod profile;
mod sample;
mod sequential;
mod statistics;
mod subsample;
mod vectors;

pub use baseline::{
    Baseline, BaselineOptions, Calibration, Check, CleanWindows, Compiled, FalseAlarms, Power,
    false_alarms, power,
};
pub use cluster::{ClusterShares, Clusters, DEFAULT_CLUSTERS, Histogram, KMeans, KMeansConfig};
pub use explain::{ClassChange, ExpectedAccuracy, Explanation, PropertyChange, ShareChange};
pub use moments::Moments;
pub use multiple_testing::{benjamini_hochberg, benjamini_hochberg_adjusted, bonferroni};
pub use outcome::{DriftTest, TestOptions, TestOutcome, TestResult, Verdict};
pub use permutation::{NullDistribution, block_length};
pub use profile::{
    Bucket, PROFILE_VERSION, Profile, ProfilePlan, buckets_from_batch, buckets_to_batch,
};
pub use sample::{Sample, Space};
pub use sequential::{AlertBudget, Consecutive, Cusum, Ewma, OnlineTest, PageHinkley};
pub use statistics::{
    Accuracy, Centroid, CentroidDistance, Classifier, DRIFTLENS_COMPONENTS,
    DRIFTLENS_COMPONENTS_PER_LABEL, Distance, DomainClassifier, DriftedComponents, Energy,
    Estimate, EstimatedAccuracy, Frechet, FrechetByClass, GTest, Hotelling, Mmd, OutlierShare,
    PredictionShift, RandomFeatureMmd, Reconstruction, ScoreShift, SlicedWasserstein, Statistic,
    bias_corrected_jsd, drift_factor, frechet, g_test, hellinger, jsd, jsd_p_value, kl, ks,
    noise_floor, psi, roc_auc, total_variation,
};
pub use subsample::subsample;
pub use vectors::Vectors;
