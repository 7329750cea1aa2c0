//! Embeddings in two dimensions: the two principal components of the baseline.

use std::ops::Range;
use std::sync::Arc;

use driftline_core::{Error, ErrorKind, Result, Rows};
use faer::{Mat, Side};
use jiff::Timestamp;
use serde::Serialize;

use crate::bins::whole_hours;
use crate::sample::Sample;
use crate::select::Selection;
use crate::{Baseline, Monitored, ShownRow};

/// Baseline rows that the components are found on; of a larger baseline a seeded sample.
pub const PROJECTED_ROWS: usize = 10_000;

/// Points of the baseline on a map.
pub const BASELINE_POINTS: usize = 500;

/// Points of each window on a map.
pub const WINDOW_POINTS: usize = 200;

/// Embeddings on the two directions in which the baseline's vary most. The same rows always give the same map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Map {
    /// Shares of the baseline's variance that the first and the second direction explain.
    pub explained: [f64; 2],
    /// A sample of at most [`BASELINE_POINTS`] baseline rows.
    pub baseline: Vec<MapPoint>,
    /// For each window a sample of at most [`WINDOW_POINTS`] events.
    pub windows: Vec<Vec<MapPoint>>,
}

/// A row on a map. The mean of the baseline is at (0, 0).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MapPoint {
    /// Along the first direction.
    pub x: f64,
    /// Along the second direction.
    pub y: f64,
    /// The row.
    pub row: ShownRow,
}

/// The directions of a baseline, and its points.
#[derive(Debug)]
pub(crate) struct Projection {
    mean: Vec<f64>,
    directions: [Vec<f64>; 2],
    explained: [f64; 2],
    points: Vec<MapPoint>,
}

#[derive(Debug)]
struct Sampled {
    row: ShownRow,
    embedding: Vec<f32>,
}

impl Sampled {
    fn new(rows: &Rows, row: usize, monitored: &Monitored) -> Self {
        let dim = rows.schema().dim;
        Self {
            row: ShownRow::new(rows, row, monitored.binning()),
            embedding: rows.embeddings()[row * dim..][..dim].to_vec(),
        }
    }
}

impl Monitored {
    /// A map of the baseline and of the events of `windows`, each widened to whole hours. A rolling baseline is that of
    /// the first window.
    ///
    /// # Errors
    /// `NotFound` for a baseline that is not there, or has fewer than 2 rows.
    pub fn map(&self, baseline: &Baseline, windows: &[Range<Timestamp>]) -> Result<Map> {
        let start = windows
            .first()
            .map_or(Timestamp::UNIX_EPOCH, |window| window.start);
        // Refuses an environment that is not there.
        self.baseline(baseline, start)?;
        let projection = self.projection(&baseline.selection(start))?;
        let hours: Vec<Range<i64>> = windows.iter().map(whole_hours).collect();
        let windows = self.window_samples(&hours)?.into_iter().map(|sample| {
            let points = sample
                .into_values()
                .map(|sampled| projection.point(sampled));
            points.collect()
        });
        Ok(Map {
            explained: projection.explained,
            baseline: projection.points.clone(),
            windows: windows.collect(),
        })
    }

    fn window_samples(&self, windows: &[Range<i64>]) -> Result<Vec<Sample<Sampled>>> {
        let start = windows.iter().map(|window| window.start).min().unwrap_or(0);
        let end = windows.iter().map(|window| window.end).max().unwrap_or(0);
        let parts = Selection::Events(start..end).scan(
            self.store(),
            |samples: &mut Vec<Sample<Sampled>>, rows, chosen| {
                samples.resize_with(windows.len(), Sample::default);
                for row in chosen.iter().copied() {
                    let (ms, name) = (rows.timestamps_ms()[row], rows.event_ids().value(row));
                    for (sample, window) in samples.iter_mut().zip(windows) {
                        if window.contains(&ms) {
                            sample.offer(WINDOW_POINTS, name, || Sampled::new(rows, row, self));
                        }
                    }
                }
            },
        )?;
        let mut whole: Vec<Sample<Sampled>> = Vec::new();
        whole.resize_with(windows.len(), Sample::default);
        for part in parts {
            for (sample, more) in whole.iter_mut().zip(part) {
                sample.merge(WINDOW_POINTS, more);
            }
        }
        Ok(whole)
    }

    /// The directions of the selected rows, found once.
    fn projection(&self, selection: &Selection) -> Result<Arc<Projection>> {
        let known =
            |projections: &std::collections::HashMap<_, _>| projections.get(selection).cloned();
        if let Ok(projections) = self.projections.lock()
            && let Some(projection) = known(&projections)
        {
            return Ok(projection);
        }
        let parts = selection.scan(
            self.store(),
            |sample: &mut Sample<Sampled>, rows, chosen| {
                for row in chosen.iter().copied() {
                    let name = rows.event_ids().value(row);
                    sample.offer(PROJECTED_ROWS, name, || Sampled::new(rows, row, self));
                }
            },
        )?;
        let mut whole = Sample::default();
        for part in parts {
            whole.merge(PROJECTED_ROWS, part);
        }
        let rows: Vec<Sampled> = whole.into_values().collect();
        let projection = Arc::new(Projection::of(rows, self.monitor().schema.dim)?);
        if let Ok(mut projections) = self.projections.lock() {
            projections.insert(selection.clone(), Arc::clone(&projection));
        }
        Ok(projection)
    }
}

impl Projection {
    fn of(rows: Vec<Sampled>, dim: usize) -> Result<Self> {
        let n = rows.len();
        if n < 2 {
            let message = format!("a map needs at least 2 baseline rows, there are {n}");
            return Err(Error::new(ErrorKind::NotFound, "make a map", message)
                .remedy("publish a baseline, or choose another one"));
        }
        let mut mean = vec![0.0; dim];
        for row in &rows {
            for (sum, x) in mean.iter_mut().zip(&row.embedding) {
                *sum += f64::from(*x);
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= n as f64);
        let centred = Mat::from_fn(n, dim, |i, j| f64::from(rows[i].embedding[j]) - mean[j]);
        let covariance = centred.transpose() * &centred;
        let eigen = covariance
            .self_adjoint_eigen(Side::Lower)
            .map_err(|cause| {
                let message = "the directions of the embeddings could not be found";
                Error::new(ErrorKind::Internal, "make a map", message).because(format!("{cause:?}"))
            })?;
        let values = eigen.S().column_vector();
        let total: f64 = (0..dim).map(|i| values[i].max(0.0)).sum();
        // Values come from the least to the greatest. Embeddings of a single number have no second direction.
        let direction = |rank: usize| -> (Vec<f64>, f64) {
            let Some(at) = dim.checked_sub(rank + 1) else {
                return (vec![0.0; dim], 0.0);
            };
            let vector: Vec<f64> = (0..dim).map(|i| eigen.U()[(i, at)]).collect();
            let share = if total > 0.0 {
                values[at].max(0.0) / total
            } else {
                0.0
            };
            (pointing_up(vector), share)
        };
        let ((first, x), (second, y)) = (direction(0), direction(1));
        let mut projection = Self {
            mean,
            directions: [first, second],
            explained: [x, y],
            points: Vec::new(),
        };
        let shown = rows.into_iter().take(BASELINE_POINTS);
        projection.points = shown.map(|sampled| projection.point(sampled)).collect();
        Ok(projection)
    }

    fn point(&self, sampled: Sampled) -> MapPoint {
        let along = |direction: &[f64]| -> f64 {
            let offsets = sampled.embedding.iter().zip(&self.mean);
            offsets
                .zip(direction)
                .map(|((x, mean), d)| (f64::from(*x) - mean) * d)
                .sum()
        };
        MapPoint {
            x: along(&self.directions[0]),
            y: along(&self.directions[1]),
            row: sampled.row,
        }
    }
}

/// A direction and its opposite are equally good: the one whose component of greatest size is positive.
fn pointing_up(mut direction: Vec<f64>) -> Vec<f64> {
    let greatest = direction.iter().copied().fold(0.0_f64, |greatest, x| {
        if x.abs() > greatest.abs() {
            x
        } else {
            greatest
        }
    });
    if greatest < 0.0 {
        direction.iter_mut().for_each(|x| *x = -*x);
    }
    direction
}
