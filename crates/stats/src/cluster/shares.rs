//! Drift of the shares of the clusters, tested.

use std::sync::Arc;

use driftline_core::{Error, ErrorKind, Result};

use super::kmeans::{KMeans, KMeansConfig};
use crate::permutation::split_halves;
use crate::statistics::histogram_test;
use crate::{Distance, DriftTest, TestOptions, TestOutcome, Vectors};

/// The distance between the shares that the clusters of the baseline have in the baseline and in the window, by permutation.
///
/// Clusters are drawn towards the rows that they were found in, so that those fill them otherwise than unseen rows do. Half of
/// the baseline, 8,192 rows at most, finds the clusters; only the others are counted, which makes the test exact.
///
/// | | |
/// | --- | --- |
/// | value | that of the [`Distance`] |
/// | cost | of the fit: k-means; of a window of `n` rows: `n d k`, and `permutations` sums of at most about 50 blocks of `k` values |
/// | not for | fewer than about 100 rows or a slight move of all rows, which leaves most of them in their cluster |
#[derive(Debug, Clone)]
pub struct ClusterShares {
    distance: Distance,
    fitted: Arc<Fitted>,
}

/// The clusters of a baseline, which every distance shares.
#[derive(Debug)]
struct Fitted {
    dim: usize,
    /// Rows of the baseline that can be split into halves.
    rows: usize,
    needed: usize,
    held_out: Option<HeldOut>,
}

/// Clusters, and the cluster of each row that they were not found in.
#[derive(Debug)]
struct HeldOut {
    clusters: KMeans,
    labels: Vec<usize>,
}

/// Rows that clusters are found in, at most.
const FITTED_ROWS: usize = 8192;

impl ClusterShares {
    /// Finds `clusters` clusters (see [`DEFAULT_CLUSTERS`](crate::DEFAULT_CLUSTERS)) from `seed`, to be compared by `distance`, in
    /// rows that depend on each other over `block` rows (see [`TestOptions::block`]).
    ///
    /// # Errors
    /// `InvalidConfig` for no clusters.
    pub fn fit(
        baseline: Vectors<'_>,
        distance: Distance,
        clusters: usize,
        seed: u64,
        block: usize,
    ) -> Result<Self> {
        if clusters == 0 {
            let message = "shares of 0 clusters say nothing";
            return Err(
                Error::new(ErrorKind::InvalidConfig, "find clusters", message)
                    .remedy("ask for at least 2"),
            );
        }
        let [first, second] = split_halves(baseline, block, seed);
        let dim = baseline.dim();
        let [one, other] = [&first, &second].map(|half| half.len() / dim);
        let fewer = one.min(other);
        let mut fitted = Fitted {
            dim,
            rows: (one + other).min(2 * fewer + 1),
            needed: 2 * clusters,
            held_out: None,
        };
        if fewer >= clusters {
            let config = KMeansConfig {
                seed,
                ..KMeansConfig::default()
            };
            let rows = Vectors::checked(&first, dim).subsample(FITTED_ROWS, seed);
            let clusters = KMeans::fit(&rows, dim, clusters, &config)?;
            let labels = labels(&clusters, &second)?;
            fitted.held_out = Some(HeldOut { clusters, labels });
        }
        Ok(Self {
            distance,
            fitted: Arc::new(fitted),
        })
    }

    /// The same clusters, compared by another distance.
    #[must_use]
    pub fn with_distance(&self, distance: Distance) -> Self {
        Self {
            distance,
            fitted: Arc::clone(&self.fitted),
        }
    }
}

fn labels(clusters: &KMeans, rows: &[f32]) -> Result<Vec<usize>> {
    let labels = clusters.labels(rows)?.into_iter();
    Ok(labels.map(|label| label as usize).collect())
}

impl DriftTest for ClusterShares {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        Vectors::checked(&[], self.fitted.dim).same_space(&window)?;
        let Some(HeldOut {
            clusters,
            labels: baseline,
        }) = &self.fitted.held_out
        else {
            return Ok(TestOutcome::NotEnoughRows {
                rows: self.fitted.rows,
                needed: self.fitted.needed,
            });
        };
        let window = labels(clusters, window.values())?;
        let bins = clusters.clusters();
        histogram_test(self.distance, bins, baseline, &window, options)
    }
}
