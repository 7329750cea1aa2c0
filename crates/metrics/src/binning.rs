//! The bins of every histogram: clusters, score bins and categories.

use std::collections::{BTreeMap, HashSet};

use arrow_array::Array;
use driftline_core::{MonitorSpec, Result, Rows};
use driftline_sink_local::Centroids;
use driftline_stats::{KMeans, KMeansConfig};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::part::{StampedPart, read_rows};

/// Equal-width bins of a score.
pub const SCORE_BINS: usize = 10;

/// Categories of the target that are told apart; rarer ones count as unseen.
pub const CATEGORIES: usize = 1_000;

/// Baseline rows that clusters are found on; of a larger baseline a seeded sample of this size, drawn as `driftline run`
/// draws it. The shares of the clusters are always those of all rows.
pub const CLUSTERED_ROWS: u64 = 100_000;

/// Seed of the clusters that are found here, the default of `driftline drift`.
const SEED: u64 = 42;

/// How values fall into bins. The baseline section fixes it, so that all histograms of a model have the same bins.
#[derive(Debug, Clone)]
pub struct Binning {
    /// `None` as long as there are neither centroids nor baseline rows.
    pub(crate) clusters: Option<KMeans>,
    /// Least and greatest score of each class; 0 to 1 without a baseline.
    pub(crate) ranges: Vec<(f32, f32)>,
    /// Class names in the order of the score columns.
    pub(crate) classes: Vec<String>,
    /// Values of the target that are told apart.
    pub(crate) categories: Vec<String>,
    /// Whether the baseline has targets at all, and whether some are null.
    pub(crate) targets_known: bool,
    pub(crate) nulls_known: bool,
    by_name: BTreeMap<String, usize>,
    class_by_name: BTreeMap<String, usize>,
}

/// What is learnt of the rows of one file.
#[derive(Default)]
struct Learnt {
    rows: u64,
    ranges: Vec<(f32, f32)>,
    targets: BTreeMap<String, u64>,
    nulls: u64,
}

impl Binning {
    /// Learns it from the rows of the baseline section and the centroids that were found elsewhere, if any.
    pub(crate) fn learn(
        monitor: &MonitorSpec,
        classes: &[String],
        centroids: Option<&Centroids>,
        baseline: &[StampedPart],
    ) -> Result<Self> {
        let learnt = baseline
            .par_iter()
            .map(|part| Learnt::of(part, monitor))
            .collect::<Result<Vec<_>>>()?;
        let clusters = match centroids {
            Some(found) => Some(KMeans::from_centroids(found.values.clone(), found.dim)?),
            None => found_here(monitor, baseline, &learnt)?,
        };
        let mut whole = Learnt::default();
        for learnt in learnt {
            whole.merge(learnt);
        }
        Ok(Self::new(monitor, classes, clusters, whole))
    }

    fn new(
        monitor: &MonitorSpec,
        classes: &[String],
        clusters: Option<KMeans>,
        learnt: Learnt,
    ) -> Self {
        let columns = &monitor.schema.classes;
        let ranges = if learnt.rows == 0 {
            vec![(0.0, 1.0); columns.len()]
        } else {
            learnt.ranges
        };
        // A class goes by the name of its score column, too.
        let by_position = classes.iter().take(columns.len()).enumerate();
        let mut class_by_name: BTreeMap<String, usize> =
            by_position.map(|(i, class)| (class.clone(), i)).collect();
        for (i, column) in columns.iter().enumerate() {
            class_by_name.entry(column.clone()).or_insert(i);
        }
        let classes: Vec<String> = columns
            .iter()
            .enumerate()
            .map(|(i, column)| classes.get(i).unwrap_or(column).clone())
            .collect();
        let targets_known = !learnt.targets.is_empty();
        let mut frequent: Vec<(String, u64)> = learnt.targets.into_iter().collect();
        frequent.sort_by(|(a, m), (b, n)| n.cmp(m).then(a.cmp(b)));
        frequent.truncate(CATEGORIES);
        let mut categories: Vec<String> = if targets_known {
            frequent.into_iter().map(|(name, _)| name).collect()
        } else {
            classes.clone()
        };
        // Classes in their own order first, then what else there is.
        categories.sort_by_key(|name| {
            let class = classes.iter().position(|class| class == name);
            (class.unwrap_or(classes.len()), name.clone())
        });
        categories.dedup();
        Self {
            clusters,
            ranges,
            classes,
            by_name: categories.iter().cloned().zip(0..).collect(),
            categories,
            targets_known,
            nulls_known: learnt.nulls > 0,
            class_by_name,
        }
    }

    /// Number of clusters, 0 as long as there are none.
    pub fn clusters(&self) -> usize {
        self.clusters.as_ref().map_or(0, KMeans::clusters)
    }

    /// Centroids of the clusters, f32 `[k, dim]`, row-major; empty as long as there are none.
    pub fn centroids(&self) -> &[f32] {
        self.clusters.as_ref().map_or(&[], KMeans::centroids)
    }

    /// Class names in the order of the score columns.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Values of the target that are told apart; every histogram of the target has one more bin, for all others.
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// The edges of the score bins of class `class`, from the least to the greatest score of the baseline; smaller and
    /// greater scores count in the outer bins.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn score_edges(&self, class: usize) -> [f64; SCORE_BINS + 1] {
        let (least, greatest) = self.ranges[class];
        let (least, greatest) = (f64::from(least), f64::from(greatest));
        std::array::from_fn(|i| least + (greatest - least) * i as f64 / SCORE_BINS as f64)
    }

    /// Score bin of a score of class `class`, and whether the score lies outside what the baseline had.
    pub(crate) fn score_bin(&self, class: usize, score: f32) -> (usize, bool) {
        let (least, greatest) = self.ranges[class];
        let outside = score < least || score > greatest;
        let width = f64::from(greatest) - f64::from(least);
        let at = (f64::from(score) - f64::from(least)) / width * SCORE_BINS as f64;
        // A width of 0 gives NaN or infinity: the first bin, or the last.
        ((at.max(0.0) as usize).min(SCORE_BINS - 1), outside)
    }

    /// Bin of a value of the target: its category, or the last bin for all others.
    pub(crate) fn category(&self, target: &str) -> usize {
        self.by_name
            .get(target)
            .copied()
            .unwrap_or(self.categories.len())
    }

    /// Class that a value of the target names, by its place in the class order or by its score column.
    pub(crate) fn class(&self, target: &str) -> Option<usize> {
        self.class_by_name.get(target).copied()
    }
}

impl Learnt {
    fn of(part: &StampedPart, monitor: &MonitorSpec) -> Result<Self> {
        let mut learnt = Self::default();
        let damage = read_rows(part, monitor, |rows| {
            learnt.add(rows);
            Ok(())
        })?;
        // Half a file is no file.
        Ok(if damage.is_none() {
            learnt
        } else {
            Self::default()
        })
    }

    fn add(&mut self, rows: &Rows) {
        self.rows += rows.len() as u64;
        self.nulls += rows.targets().null_count() as u64;
        let classes = rows.schema().classes.len();
        self.ranges
            .resize(classes, (f32::INFINITY, f32::NEG_INFINITY));
        for (class, (least, greatest)) in self.ranges.iter_mut().enumerate() {
            for score in rows.scores(class) {
                *least = least.min(*score);
                *greatest = greatest.max(*score);
            }
        }
        for target in rows.targets().iter().flatten() {
            if let Some(count) = self.targets.get_mut(target) {
                *count += 1;
            } else if self.targets.len() < 100 * CATEGORIES {
                // Free text is no category: far more values than can be told apart are not collected.
                self.targets.insert(target.to_owned(), 1);
            }
        }
    }

    fn merge(&mut self, other: Self) {
        self.rows += other.rows;
        self.nulls += other.nulls;
        self.ranges.resize(
            self.ranges.len().max(other.ranges.len()),
            (f32::INFINITY, f32::NEG_INFINITY),
        );
        for ((least, greatest), (l, g)) in self.ranges.iter_mut().zip(other.ranges) {
            *least = least.min(l);
            *greatest = greatest.max(g);
        }
        for (target, count) in other.targets {
            *self.targets.entry(target).or_default() += count;
        }
    }
}

/// Clusters of the baseline's rows; none if there are fewer rows than clusters.
fn found_here(
    monitor: &MonitorSpec,
    baseline: &[StampedPart],
    learnt: &[Learnt],
) -> Result<Option<KMeans>> {
    let clusters = monitor.custom_feature.n_clusters;
    let rows: u64 = learnt.iter().map(|learnt| learnt.rows).sum();
    if clusters == 0 || rows < clusters as u64 {
        return Ok(None);
    }
    let dim = monitor.schema.dim;
    let chosen = chosen_rows(rows);
    let mut row = 0;
    let mut embeddings = Vec::with_capacity(rows.min(CLUSTERED_ROWS) as usize * dim);
    for (part, learnt) in baseline.iter().zip(learnt) {
        if learnt.rows == 0 {
            continue;
        }
        read_rows(part, monitor, |rows| {
            for embedding in rows.embeddings().chunks_exact(dim) {
                if chosen.as_ref().is_none_or(|chosen| chosen.contains(&row)) {
                    embeddings.extend_from_slice(embedding);
                }
                row += 1;
            }
            Ok(())
        })?;
    }
    let config = KMeansConfig {
        seed: SEED,
        ..KMeansConfig::default()
    };
    KMeans::fit(&embeddings, dim, clusters, &config).map(Some)
}

/// Which of `rows` rows clusters are found on; `None` is all. A sample of fixed size by Floyd's method.
fn chosen_rows(rows: u64) -> Option<HashSet<u64>> {
    if rows <= CLUSTERED_ROWS {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    let mut chosen = HashSet::new();
    for limit in rows - CLUSTERED_ROWS..rows {
        let row = rng.random_range(0..=limit);
        if !chosen.insert(row) {
            chosen.insert(limit);
        }
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_huge_baseline_a_fixed_sample_of_rows_is_clustered() {
        assert_eq!(chosen_rows(CLUSTERED_ROWS), None);
        let rows = 3 * CLUSTERED_ROWS;
        let chosen = chosen_rows(rows).unwrap();
        assert_eq!(chosen.len() as u64, CLUSTERED_ROWS);
        assert_eq!(chosen_rows(rows).unwrap(), chosen);
        assert!(chosen.iter().all(|row| *row < rows));
        // A third of each third, give or take.
        let low = chosen.iter().filter(|row| **row < CLUSTERED_ROWS).count() as f64;
        assert!(
            (low / CLUSTERED_ROWS as f64 - 1.0 / 3.0).abs() < 0.01,
            "{low}"
        );
    }
}
