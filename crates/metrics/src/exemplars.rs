//! Typical rows of a bin beside the nearest ones of the baseline.

use std::collections::HashSet;
use std::ops::Range;

use driftline_core::{Result, Rows};
use jiff::Timestamp;
use serde::Serialize;

use crate::bins::whole_hours;
use crate::select::Selection;
use crate::{BaselineRows, BinSize, RowCounts, ShownRow, StoredModel};

/// Typical rows of a stretch of time: those nearest to the centroid of the cluster whose share grew most.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exemplars {
    /// The cluster; `None` if there are no clusters or no rows, and then there are no exemplars either.
    pub cluster: Option<usize>,
    /// Its share of the baseline, 0 if that has no rows.
    pub baseline_share: f64,
    /// Its share of the rows.
    pub share: f64,
    /// The rows, the nearest to the centroid first.
    pub exemplars: Vec<Exemplar>,
}

/// A row and those of the baseline whose embeddings are nearest to its own.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Exemplar {
    /// The row.
    pub row: ShownRow,
    /// Distance of its embedding to the centroid.
    pub distance: f64,
    /// The nearest rows of the baseline, the nearest first.
    pub neighbours: Vec<Neighbour>,
}

/// A row of the baseline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Neighbour {
    /// The row.
    pub row: ShownRow,
    /// Euclidean distance between the embeddings.
    pub distance: f64,
}

impl StoredModel {
    /// For each of `windows`, widened to whole hours, its `count` most typical rows, each with its `neighbours` nearest
    /// rows of the baseline. Every row of both is looked at, once for all windows together.
    ///
    /// # Errors
    /// `NotFound` for a baseline that is not there.
    pub fn exemplars(
        &self,
        baseline: &BaselineRows,
        windows: &[Range<Timestamp>],
        count: usize,
        neighbours: usize,
    ) -> Result<Vec<Exemplars>> {
        let grown = windows
            .iter()
            .map(|times| self.grown(baseline, times))
            .collect::<Result<Vec<_>>>()?;
        let wanted: Vec<(Range<i64>, Option<usize>)> = windows
            .iter()
            .zip(&grown)
            .map(|(times, grown)| (whole_hours(times), grown.cluster))
            .collect();
        let typical = self.typical(&wanted, count)?;
        // Only a rolling baseline is another for each window.
        let mut nearest: Vec<Vec<Vec<Found>>> = vec![Vec::new(); windows.len()];
        let selections: Vec<Selection> = windows
            .iter()
            .map(|times| baseline.selection(times.start))
            .collect();
        let different: HashSet<&Selection> = selections.iter().collect();
        for selection in different {
            let at: Vec<usize> = (0..windows.len())
                .filter(|i| selections[*i] == *selection)
                .collect();
            let queries: Vec<&Found> = at.iter().flat_map(|i| &typical[*i]).collect();
            let mut found = self.nearest(&queries, selection, neighbours)?.into_iter();
            for i in at {
                nearest[i] = found.by_ref().take(typical[i].len()).collect();
            }
        }
        let exemplars = grown.into_iter().zip(typical).zip(nearest);
        let exemplars = exemplars.map(|((grown, typical), nearest)| Exemplars {
            exemplars: typical
                .into_iter()
                .zip(nearest)
                .map(|(found, nearest)| Exemplar {
                    distance: found.distance(),
                    row: found.row,
                    neighbours: nearest.into_iter().map(Neighbour::from).collect(),
                })
                .collect(),
            ..grown
        });
        Ok(exemplars.collect())
    }

    /// The cluster of a window whose share grew most, without exemplars.
    fn grown(&self, baseline: &BaselineRows, times: &Range<Timestamp>) -> Result<Exemplars> {
        let mut now = RowCounts::new(self.binning());
        for bin in self.bins(times, BinSize::Month) {
            now.merge(&bin.counts);
        }
        let before = self.baseline(baseline, times.start)?;
        let shares = |counts: &RowCounts| -> Vec<f64> {
            let total = counts.clusters.iter().sum::<u64>().max(1) as f64;
            counts
                .clusters
                .iter()
                .map(|count| *count as f64 / total)
                .collect()
        };
        let (share, baseline_share) = (shares(&now), shares(&before));
        let growth = |cluster: usize| share[cluster] - baseline_share[cluster];
        let cluster = (0..share.len())
            .filter(|_| now.rows > 0)
            .max_by(|a, b| growth(*a).total_cmp(&growth(*b)).then(b.cmp(a)));
        Ok(Exemplars {
            cluster,
            baseline_share: cluster.map_or(0.0, |cluster| baseline_share[cluster]),
            share: cluster.map_or(0.0, |cluster| share[cluster]),
            exemplars: Vec::new(),
        })
    }

    /// For each window and its cluster, the rows that are nearest to the centroid.
    fn typical(
        &self,
        windows: &[(Range<i64>, Option<usize>)],
        count: usize,
    ) -> Result<Vec<Vec<Found>>> {
        let dim = self.monitor().schema.dim;
        let centroids: Vec<&[f32]> = self.binning().centroids().chunks_exact(dim).collect();
        let start = windows
            .iter()
            .map(|(times, _)| times.start)
            .min()
            .unwrap_or(0);
        let end = windows
            .iter()
            .map(|(times, _)| times.end)
            .max()
            .unwrap_or(0);
        let parts = Selection::Events(start..end).scan(
            self.store(),
            |best: &mut Vec<Best>, rows, chosen| {
                best.resize_with(windows.len(), Best::default);
                for row in chosen.iter().copied() {
                    let ms = rows.timestamps_ms()[row];
                    let embedding = &rows.embeddings()[row * dim..][..dim];
                    for (best, (times, cluster)) in best.iter_mut().zip(windows) {
                        let Some(cluster) = cluster.filter(|_| times.contains(&ms)) else {
                            continue;
                        };
                        let squared = squared_distance(embedding, centroids[cluster]);
                        let nearer = |c: &&[f32]| squared_distance(embedding, c) < squared;
                        if best.takes(count, squared) && !centroids.iter().any(nearer) {
                            best.add(count, Found::new(rows, row, squared, self));
                        }
                    }
                }
            },
        )?;
        Ok(Best::of_all(windows.len(), count, parts))
    }

    /// For each of `queries`, the selected rows that are nearest to it.
    fn nearest(
        &self,
        queries: &[&Found],
        from: &Selection,
        count: usize,
    ) -> Result<Vec<Vec<Found>>> {
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        let dim = self.monitor().schema.dim;
        let parts = from.scan(self.store(), |best: &mut Vec<Best>, rows, chosen| {
            best.resize_with(queries.len(), Best::default);
            for row in chosen.iter().copied() {
                let embedding = &rows.embeddings()[row * dim..][..dim];
                for (best, query) in best.iter_mut().zip(queries) {
                    let squared = squared_distance(embedding, &query.embedding);
                    if best.takes(count, squared) {
                        best.add(count, Found::new(rows, row, squared, self));
                    }
                }
            }
        })?;
        Ok(Best::of_all(queries.len(), count, parts))
    }
}

/// A row and its squared distance to something.
#[derive(Debug, Clone)]
struct Found {
    squared: f32,
    row: ShownRow,
    embedding: Vec<f32>,
}

impl Found {
    fn new(rows: &Rows, row: usize, squared: f32, monitored: &StoredModel) -> Self {
        let dim = rows.schema().dim;
        Self {
            squared,
            row: ShownRow::new(rows, row, monitored.binning()),
            embedding: rows.embeddings()[row * dim..][..dim].to_vec(),
        }
    }

    fn distance(&self) -> f64 {
        f64::from(self.squared).sqrt()
    }
}

impl From<Found> for Neighbour {
    fn from(found: Found) -> Self {
        Self {
            distance: found.distance(),
            row: found.row,
        }
    }
}

/// The nearest rows so far, the nearest first; of equally near ones those with the least `event_id`.
#[derive(Debug, Clone, Default)]
struct Best(Vec<Found>);

impl Best {
    fn takes(&self, count: usize, squared: f32) -> bool {
        match self.0.last() {
            Some(last) if self.0.len() >= count => squared <= last.squared,
            _ => count > 0,
        }
    }

    fn add(&mut self, count: usize, found: Found) {
        let at = self.0.partition_point(|there| {
            let order = there.squared.total_cmp(&found.squared);
            order
                .then_with(|| there.row.event_id.cmp(&found.row.event_id))
                .is_lt()
        });
        self.0.insert(at, found);
        self.0.truncate(count);
    }

    /// Of each of `n` searches the nearest rows that any part found.
    fn of_all(n: usize, count: usize, parts: Vec<Vec<Self>>) -> Vec<Vec<Found>> {
        let mut whole = vec![Self::default(); n];
        for part in parts {
            for (best, more) in whole.iter_mut().zip(part) {
                for found in more.0 {
                    best.add(count, found);
                }
            }
        }
        whole.into_iter().map(|best| best.0).collect()
    }
}

/// Eight sums side by side, which the compiler makes vector instructions of.
fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 8;
    let mut sums = [0_f32; LANES];
    let (whole_a, rest_a) = a.as_chunks::<LANES>();
    let (whole_b, rest_b) = b.as_chunks::<LANES>();
    for (a, b) in whole_a.iter().zip(whole_b) {
        for (sum, (x, y)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += (x - y) * (x - y);
        }
    }
    let rest: f32 = rest_a
        .iter()
        .zip(rest_b)
        .map(|(x, y)| (x - y) * (x - y))
        .sum();
    sums.iter().sum::<f32>() + rest
}
