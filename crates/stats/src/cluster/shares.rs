//! Drift of the shares of the clusters, tested.

use driftline_core::{Error, ErrorKind, Result};
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::{KMeans, KMeansConfig};
use crate::counts;
use crate::division::{check, independent};
use crate::{Answer, Distance, DriftTest, TestOptions, Vectors};

/// The distance between the shares that the clusters of the baseline have in the baseline and in the window, by permutation.
///
/// Clusters are drawn towards the rows that they were found in, so that those fill them otherwise than unseen rows do. Half of
/// the baseline, 8,192 rows at most, finds the clusters; only the others are counted, which makes the test exact.
///
/// | | |
/// | --- | --- |
/// | value | that of the [`Distance`] |
/// | cost | of the fit: k-means; of a window of `n` rows: `n d k`, and `divisions k` draws whatever the rows |
/// | not for | fewer than about 100 rows or a slight move of all rows, which leaves most of them in their cluster |
#[derive(Debug, Clone)]
pub struct ClusterShares {
    distance: Distance,
    clusters: usize,
    seed: u64,
    dim: usize,
    rows: Vec<f32>,
    counted: Option<Counted>,
}

/// Clusters, and how many rows that they were not found in they have.
#[derive(Debug, Clone)]
struct Counted {
    clusters: KMeans,
    counts: Vec<u64>,
}

/// Rows that find the clusters, at most.
const FINDERS: usize = 8192;

impl ClusterShares {
    /// Clusters that tell most kinds of image apart and leave enough rows in each.
    pub const CLUSTERS: usize = 10;

    /// Finds `clusters` clusters (see [`CLUSTERS`](Self::CLUSTERS)) from `seed`, to be compared by `distance`.
    ///
    /// # Errors
    /// `InvalidConfig` for no clusters.
    pub fn fit(
        baseline: Vectors<'_>,
        distance: Distance,
        clusters: usize,
        seed: u64,
    ) -> Result<Self> {
        if clusters == 0 {
            let message = "shares of 0 clusters say nothing";
            return Err(
                Error::new(ErrorKind::InvalidConfig, "find clusters", message)
                    .remedy("ask for at least 2"),
            );
        }
        let mut test = Self {
            distance,
            clusters,
            seed,
            dim: baseline.dim(),
            rows: baseline.values().to_vec(),
            counted: None,
        };
        test.counted = test.count(&test.rows)?;
        Ok(test)
    }

    /// Finds the clusters in half of the rows and counts the others, unless there are too few.
    fn count(&self, rows: &[f32]) -> Result<Option<Counted>> {
        let mut order: Vec<&[f32]> = rows.chunks_exact(self.dim).collect();
        if order.len() < self.needed() {
            return Ok(None);
        }
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(self.seed));
        let (finders, others) = order.split_at((order.len() / 2).min(FINDERS));
        let config = KMeansConfig {
            seed: self.seed,
            ..KMeansConfig::default()
        };
        let clusters = KMeans::fit(&finders.concat(), self.dim, self.clusters, &config)?;
        let counts = clusters.histogram(&others.concat())?;
        Ok(Some(Counted { clusters, counts }))
    }

    fn needed(&self) -> usize {
        2 * self.clusters
    }
}

impl DriftTest for ClusterShares {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<Answer> {
        check(options)?;
        let baseline = Vectors::checked(&self.rows, self.dim);
        baseline.same_space(&window)?;
        let thinned;
        let (counted, rows) = if options.block > 1 {
            // Rows beside those that found the clusters are not unseen either: the thinned rows find theirs.
            let rows = independent(baseline, options);
            thinned = self.count(&rows)?;
            (&thinned, rows.len() / self.dim)
        } else {
            (&self.counted, baseline.rows())
        };
        let Some(Counted { clusters, counts }) = counted else {
            return Ok(Answer::NotEnoughRows {
                rows,
                needed: self.needed(),
            });
        };
        let window = clusters.histogram(&independent(window, options))?;
        counts::answer(self.distance, counts, &window, options)
    }
}
