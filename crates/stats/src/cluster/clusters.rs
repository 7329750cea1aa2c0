//! The clusters of a baseline, and mergeable histograms over them.

use std::collections::BTreeMap;
use std::sync::Arc;

use driftline_core::{Error, ErrorKind, Result};

use super::kmeans::{KMeans, KMeansConfig};
use crate::Distance;

/// Clusters of the baseline's embeddings and how many rows fell into each.
#[derive(Debug, Clone)]
pub struct Clusters {
    clusters: Arc<KMeans>,
    counts: Vec<u64>,
}

impl Clusters {
    /// Finds `clusters` clusters in `rows`, f32 `[N, dim]`, and counts their rows.
    pub fn fit(rows: &[f32], dim: usize, clusters: usize, seed: u64) -> Result<Self> {
        let clusters = Arc::new(KMeans::fit(
            rows,
            dim,
            clusters,
            &KMeansConfig {
                seed,
                ..KMeansConfig::default()
            },
        )?);
        let counts = clusters.histogram(rows)?;
        Ok(Self { clusters, counts })
    }

    /// Clusters whose rows were counted before: `counts` in each of `clusters`.
    ///
    /// # Errors
    /// `InvalidData` if there is not one count for each cluster.
    pub fn with_counts(clusters: KMeans, counts: Vec<u64>) -> Result<Self> {
        check_counts(&clusters, &counts)?;
        Ok(Self {
            clusters: Arc::new(clusters),
            counts,
        })
    }

    /// The k-means that found the clusters.
    pub fn kmeans(&self) -> &KMeans {
        &self.clusters
    }

    /// Number of clusters, which are the bins of every histogram.
    pub fn clusters(&self) -> usize {
        self.counts.len()
    }

    /// Rows of the baseline.
    pub fn rows(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Rows in each cluster.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// An empty histogram over the clusters.
    pub fn histogram(&self) -> Histogram {
        Histogram {
            clusters: Arc::clone(&self.clusters),
            counts: vec![0; self.counts.len()],
        }
    }

    /// The histogram of rows that were counted before: `counts` in each of the clusters.
    ///
    /// # Errors
    /// `InvalidData` if there is not one count for each cluster.
    pub fn histogram_of(&self, counts: Vec<u64>) -> Result<Histogram> {
        check_counts(&self.clusters, &counts)?;
        Ok(Histogram {
            clusters: Arc::clone(&self.clusters),
            counts,
        })
    }

    /// Every distance between the rows of the baseline and `window`, which must not be empty.
    pub fn distances(&self, window: &Histogram) -> Result<BTreeMap<Distance, f64>> {
        Distance::ALL
            .into_iter()
            .map(|distance| Ok((distance, distance.value(&self.counts, &window.counts)?)))
            .collect()
    }
}

fn check_counts(clusters: &KMeans, counts: &[u64]) -> Result<()> {
    let (found, expected) = (counts.len(), clusters.clusters());
    if found == expected {
        return Ok(());
    }
    let message = format!("there are {found} counts for {expected} clusters");
    Err(Error::new(ErrorKind::InvalidData, "read baseline", message))
}

/// Rows in each cluster of a baseline. Adding rows in parts and merging gives the same as adding them at once.
#[derive(Debug, Clone)]
pub struct Histogram {
    clusters: Arc<KMeans>,
    counts: Vec<u64>,
}

impl Histogram {
    /// Counts `rows`, f32 `[N, dim]`.
    pub fn add(&mut self, rows: &[f32]) -> Result<()> {
        for (sum, count) in self.counts.iter_mut().zip(self.clusters.histogram(rows)?) {
            *sum += count;
        }
        Ok(())
    }

    /// Adds the rows of another histogram over the same clusters.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if !Arc::ptr_eq(&self.clusters, &other.clusters) {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "merge histograms",
                "the histograms belong to different baselines",
            ));
        }
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum += count;
        }
        Ok(())
    }

    /// Rows in each cluster.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Rows counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_kept_as_centroids_count_as_they_did() {
        let rows: Vec<f32> = (0..400).map(|i| ((i * 37) % 101) as f32).collect();
        let fitted = Clusters::fit(&rows, 2, 5, 42).unwrap();
        let kept = KMeans::from_centroids(fitted.clusters.centroids().to_vec(), 2).unwrap();
        let again = Clusters::with_counts(kept, fitted.counts().to_vec()).unwrap();
        let mut histogram = again.histogram();
        histogram.add(&rows).unwrap();
        assert_eq!(histogram.counts(), fitted.counts());
        assert!(KMeans::from_centroids(vec![f32::NAN; 2], 2).is_err());
        assert!(KMeans::from_centroids(vec![], 2).is_err());
        let kept = KMeans::from_centroids(vec![0.0; 4], 2).unwrap();
        assert!(Clusters::with_counts(kept, vec![1]).is_err());
    }
}
