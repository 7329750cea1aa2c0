//! Drift of the shares of the clusters, tested.

use driftline_core::{Error, ErrorKind, Result};

use super::{KMeans, KMeansConfig};
use crate::counts;
use crate::division::check;
use crate::halves::halves;
use crate::{Answer, Distance, DriftTest, TestOptions, Vectors};

/// The distance between the shares that the clusters of the baseline have in the baseline and in the window, by permutation.
///
/// Clusters are drawn towards the rows that they were found in, so that those fill them otherwise than unseen rows do. Half of
/// the baseline, 8,192 rows at most, finds the clusters; only the others are counted, which makes the test exact.
///
/// | | |
/// | --- | --- |
/// | value | that of the [`Distance`] |
/// | cost | of the fit: k-means; of a window of `n` rows: `n d k`, and `divisions` sums of at most about 50 blocks of `k` values |
/// | not for | fewer than about 100 rows or a slight move of all rows, which leaves most of them in their cluster |
#[derive(Debug, Clone)]
pub struct ClusterShares {
    distance: Distance,
    dim: usize,
    /// Of the baseline, that can be divided into halves.
    rows: usize,
    needed: usize,
    counted: Option<Counted>,
}

/// Clusters, and the cluster of each row that they were not found in.
#[derive(Debug, Clone)]
struct Counted {
    clusters: KMeans,
    labels: Vec<usize>,
}

/// Rows that find the clusters, at most.
const FINDERS: usize = 8192;

impl ClusterShares {
    /// Clusters that tell most kinds of image apart and leave enough rows in each.
    pub const CLUSTERS: usize = 10;

    /// Finds `clusters` clusters (see [`CLUSTERS`](Self::CLUSTERS)) from `seed`, to be compared by `distance`, in rows that depend
    /// on each other over `block` rows (see [`TestOptions::block`]).
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
        let [finders, others] = halves(baseline, block, seed);
        let dim = baseline.dim();
        let [one, other] = [&finders, &others].map(|half| half.len() / dim);
        let fewer = one.min(other);
        let mut test = Self {
            distance,
            dim,
            rows: (one + other).min(2 * fewer + 1),
            needed: 2 * clusters,
            counted: None,
        };
        if fewer >= clusters {
            let config = KMeansConfig {
                seed,
                ..KMeansConfig::default()
            };
            let clusters = KMeans::fit(
                &Vectors::checked(&finders, dim).some(FINDERS, seed),
                dim,
                clusters,
                &config,
            )?;
            let labels = labels(&clusters, &others)?;
            test.counted = Some(Counted { clusters, labels });
        }
        Ok(test)
    }
}

fn labels(clusters: &KMeans, rows: &[f32]) -> Result<Vec<usize>> {
    let labels = clusters.labels(rows)?.into_iter();
    Ok(labels.map(|label| label as usize).collect())
}

impl DriftTest for ClusterShares {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<Answer> {
        check(options)?;
        Vectors::checked(&[], self.dim).same_space(&window)?;
        let Some(Counted {
            clusters,
            labels: baseline,
        }) = &self.counted
        else {
            return Ok(Answer::NotEnoughRows {
                rows: self.rows,
                needed: self.needed,
            });
        };
        let window = labels(clusters, window.values())?;
        let bins = clusters.clusters();
        counts::answer(self.distance, bins, baseline, &window, options)
    }
}
