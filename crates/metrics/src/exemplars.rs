//! Typical rows of a bin beside the nearest ones of the baseline.

use std::ops::Range;

use driftline_core::{Result, Rows};
use jiff::Timestamp;
use serde::Serialize;

use crate::bins::whole_hours;
use crate::select::Selection;
use crate::{Baseline, Monitored, ShownRow, Summary};

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

impl Monitored {
    /// The `count` most typical rows of `times`, widened to whole hours, each with its `neighbours` nearest rows of the
    /// baseline. Every row of both is looked at.
    ///
    /// # Errors
    /// `NotFound` for a baseline that is not there.
    pub fn exemplars(
        &self,
        baseline: &Baseline,
        times: &Range<Timestamp>,
        count: usize,
        neighbours: usize,
    ) -> Result<Exemplars> {
        let hours = whole_hours(times);
        let mut now = Summary::new(self.binning());
        for bin in self.bins(times, crate::BinSize::Hour) {
            now.merge(&bin.summary);
        }
        let before = self.baseline(baseline, times.start)?;
        let shares = |summary: &Summary| -> Vec<f64> {
            let total = summary.clusters.iter().sum::<u64>().max(1) as f64;
            summary
                .clusters
                .iter()
                .map(|count| *count as f64 / total)
                .collect()
        };
        let (share, baseline_share) = (shares(&now), shares(&before));
        let growth = |cluster: usize| share[cluster] - baseline_share[cluster];
        let grown = (0..share.len())
            .filter(|_| now.rows > 0)
            .max_by(|a, b| growth(*a).total_cmp(&growth(*b)).then(b.cmp(a)));
        let Some(cluster) = grown else {
            return Ok(Exemplars {
                cluster: None,
                baseline_share: 0.0,
                share: 0.0,
                exemplars: Vec::new(),
            });
        };
        let typical = self.typical(cluster, &Selection::Events(hours), count)?;
        let nearest = self.nearest(&typical, &baseline.selection(times.start), neighbours)?;
        let exemplars = typical
            .into_iter()
            .zip(nearest)
            .map(|(found, nearest)| Exemplar {
                row: found.row,
                distance: f64::from(found.squared).sqrt(),
                neighbours: nearest
                    .into_iter()
                    .map(|found| Neighbour {
                        row: found.row,
                        distance: f64::from(found.squared).sqrt(),
                    })
                    .collect(),
            });
        Ok(Exemplars {
            cluster: Some(cluster),
            baseline_share: baseline_share[cluster],
            share: share[cluster],
            exemplars: exemplars.collect(),
        })
    }

    /// The selected rows of a cluster that are nearest to its centroid.
    fn typical(&self, cluster: usize, from: &Selection, count: usize) -> Result<Vec<Found>> {
        let binning = self.binning();
        let dim = self.monitor().schema.dim;
        let centroids: Vec<&[f32]> = binning.centroids().chunks_exact(dim).collect();
        let found = from.scan(self.store(), |best: &mut Best, rows, chosen| {
            for row in chosen.iter().copied() {
                let embedding = &rows.embeddings()[row * dim..][..dim];
                let squared = squared_distance(embedding, centroids[cluster]);
                if !best.takes(count, squared) {
                    continue;
                }
                let others = centroids
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != cluster);
                if others
                    .map(|(_, c)| squared_distance(embedding, c))
                    .all(|d| d >= squared)
                {
                    best.add(count, Found::new(rows, row, squared, self));
                }
            }
        })?;
        Ok(Best::of_all(count, found).0)
    }

    /// For each of `queries`, the selected rows that are nearest to it.
    fn nearest(
        &self,
        queries: &[Found],
        from: &Selection,
        count: usize,
    ) -> Result<Vec<Vec<Found>>> {
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
        let mut nearest = vec![Vec::new(); queries.len()];
        for part in parts {
            for (all, best) in nearest.iter_mut().zip(part) {
                all.push(best);
            }
        }
        Ok(nearest
            .into_iter()
            .map(|all| Best::of_all(count, all).0)
            .collect())
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
    fn new(rows: &Rows, row: usize, squared: f32, monitored: &Monitored) -> Self {
        let dim = rows.schema().dim;
        Self {
            squared,
            row: ShownRow::new(rows, row, monitored.binning()),
            embedding: rows.embeddings()[row * dim..][..dim].to_vec(),
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

    fn of_all(count: usize, parts: Vec<Self>) -> Self {
        let mut best = Self::default();
        for found in parts.into_iter().flat_map(|part| part.0) {
            best.add(count, found);
        }
        best
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
