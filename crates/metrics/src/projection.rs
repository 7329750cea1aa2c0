//! The two directions in which embeddings vary most: their principal components.

use driftline_core::{Error, ErrorKind, Result, Rows};
use faer::{Mat, Side};
use serde::Serialize;

use crate::{Binning, ShownRow};

/// Points of the baseline on a map.
pub const BASELINE_POINTS: usize = 500;

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
    pub(crate) explained: [f64; 2],
    pub(crate) points: Vec<MapPoint>,
}

/// A row that directions are found on, or that is shown.
#[derive(Debug)]
pub(crate) struct Sampled {
    row: ShownRow,
    embedding: Vec<f32>,
}

impl Sampled {
    pub(crate) fn new(rows: &Rows, row: usize, binning: &Binning) -> Self {
        let dim = rows.schema().dim;
        Self {
            row: ShownRow::new(rows, row, binning),
            embedding: rows.embeddings()[row * dim..][..dim].to_vec(),
        }
    }
}

impl Projection {
    pub(crate) fn of(rows: Vec<Sampled>, dim: usize) -> Result<Self> {
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

    pub(crate) fn point(&self, sampled: Sampled) -> MapPoint {
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
