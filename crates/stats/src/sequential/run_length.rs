//! How long a watched stream runs up to a false alarm, by simulated ones.

use driftline_core::{Error, ErrorKind, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::division::random;
use crate::{Moments, Vectors};

/// Streams that the threshold is found on: some 500 of them alarm, so that the run time has a standard error of 4 %.
const STREAMS: u64 = 800;

/// Rows whose mean, scaled, stands for the error of the baseline's mean.
const OFFSET_ROWS: usize = 100;

/// Eigenvalues below this share of the largest are rounding.
const SINGULAR: f64 = 1e-12;

/// Rows of features as they come without drift, to draw from.
pub(super) struct Population {
    dim: usize,
    rows: Vec<f32>,
    /// Rows that the mean of the features is known from.
    baseline: usize,
}

/// The largest statistics of a stream so far, in ascending order, each with the number of statistics up to it.
struct Records(Vec<(f64, usize)>);

impl Population {
    /// Like `held_out`, features of rows that the map of the features has not seen, with mean 0.
    ///
    /// Rows drawn from few have a covariance whose eigenvalues are further apart than they truly are, and with them the
    /// statistics. They are pulled together until the sum of their squares is that expected of the true ones. The shrinkage of
    /// Ledoit and Wolf, `1 - ρ`, is the one of least error; that sum takes its square root.
    pub(super) fn new(held_out: Vectors<'_>, baseline: usize) -> Result<Self> {
        let (dim, n) = (held_out.dim(), held_out.rows());
        let moments = Moments::of(held_out);
        let (mean, covariance) = (moments.mean(), moments.covariance());
        let kept = (1.0 - moments.ledoit_wolf().1).sqrt();
        let eigen = covariance
            .self_adjoint_eigen(Side::Lower)
            .map_err(|cause| {
                let message = "the covariance has no eigenvalues";
                Error::new(ErrorKind::InvalidData, "watch a stream", message)
                    .because(format!("{cause:?}"))
            })?;
        let values: Vec<f64> = eigen.S().column_vector().iter().copied().collect();
        let average = values.iter().sum::<f64>() / dim as f64;
        let least = SINGULAR * values.iter().copied().fold(0.0, f64::max);
        let unbiased = n as f64 / (n as f64 - 1.0);
        // The rows stay in the basis of the eigenvectors: lengths are the same.
        let turned = Mat::from_fn(dim, dim, |row, column| {
            let value = values[row];
            let pulled = kept * value + (1.0 - kept) * average;
            let scale = if value > least {
                (pulled / value * unbiased).sqrt()
            } else {
                0.0
            };
            scale * eigen.U()[(column, row)]
        });
        let centred: Vec<f64> = held_out
            .iter()
            .flat_map(|row| {
                row.iter()
                    .zip(&mean)
                    .map(|(value, mean)| f64::from(*value) - mean)
            })
            .collect();
        let mut rows = vec![0.0; n * dim];
        matmul(
            MatMut::from_column_major_slice_mut(&mut rows, dim, n),
            Accum::Replace,
            &turned,
            MatRef::from_column_major_slice(&centred, dim, n),
            1.0,
            Par::Seq,
        );
        Ok(Self {
            dim,
            rows: rows.into_iter().map(|value| value as f32).collect(),
            baseline,
        })
    }

    /// The statistic above which streams alarm once in `run_time` rows, starting anew after each alarm.
    pub(super) fn threshold(&self, window: usize, run_time: f64, seed: u64) -> f64 {
        // Followed as long as a run: a third of them do not alarm by then.
        let length = run_time.ceil() as usize;
        let streams: Vec<Records> = (0..STREAMS)
            .into_par_iter()
            .map(|stream| self.follow(window, length, &mut random(seed, stream)))
            .collect();
        let records = streams.iter().flat_map(|stream| &stream.0);
        let mut thresholds: Vec<f64> = records.map(|(statistic, _)| *statistic).collect();
        thresholds.sort_by(f64::total_cmp);
        // With the largest none alarms, and the run is without end.
        let at = thresholds.partition_point(|threshold| {
            run_length(&streams, *threshold, window, length) < run_time
        });
        thresholds.get(at).copied().unwrap_or(f64::INFINITY)
    }

    /// A stream of a window and then `length` statistics.
    fn follow(&self, window: usize, length: usize, random: &mut impl Rng) -> Records {
        let mut draw = || {
            &self.rows[random.random_range(0..self.rows.len() / self.dim) * self.dim..][..self.dim]
        };
        // The mean of the stream is not that of the baseline, which is known from so many rows.
        let scale = window as f64 / (OFFSET_ROWS as f64 * self.baseline as f64).sqrt();
        let mut sum = vec![0.0; self.dim];
        for _ in 0..OFFSET_ROWS {
            for (sum, value) in sum.iter_mut().zip(draw()) {
                *sum += scale * f64::from(*value);
            }
        }
        let mut last: Vec<&[f32]> = Vec::with_capacity(window);
        let zeros = vec![0.0; self.dim];
        let mut square = 0.0;
        for _ in 0..window {
            let row = draw();
            square = replace(&mut sum, &zeros, row);
            last.push(row);
        }
        let mut records = vec![(square / window as f64, 1)];
        let mut largest = square;
        for at in 1..length {
            let row = draw();
            let oldest = std::mem::replace(&mut last[(at - 1) % window], row);
            square = replace(&mut sum, oldest, row);
            if square > largest {
                largest = square;
                records.push((square / window as f64, at + 1));
            }
        }
        Records(records)
    }
}

/// Takes the oldest row out of the sum and the new one in; the squared length of the sum.
fn replace(sum: &mut [f64], oldest: &[f32], row: &[f32]) -> f64 {
    // Several sums at once, which the processor adds side by side.
    const LANES: usize = 8;
    let mut squares = [0.0; LANES];
    let stretches = sum
        .chunks_mut(LANES)
        .zip(oldest.chunks(LANES))
        .zip(row.chunks(LANES));
    for ((sum, oldest), row) in stretches {
        for (((sum, oldest), value), square) in
            sum.iter_mut().zip(oldest).zip(row).zip(&mut squares)
        {
            *sum += f64::from(*value) - f64::from(*oldest);
            *square += *sum * *sum;
        }
    }
    squares.iter().sum()
}

/// Mean number of rows up to an alarm: the rows before there is a statistic, and the mean of the time after, which is about
/// geometric, so that those that were not followed up to their alarm count with the time that they were.
fn run_length(streams: &[Records], threshold: f64, window: usize, length: usize) -> f64 {
    let (mut alarms, mut statistics) = (0.0, 0.0);
    for Records(records) in streams {
        let first = records.partition_point(|(statistic, _)| *statistic <= threshold);
        let alarm = records.get(first);
        alarms += f64::from(u8::from(alarm.is_some()));
        statistics += alarm.map_or(length, |(_, at)| *at) as f64;
    }
    (window - 1) as f64 + statistics / alarms
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    #[test]
    fn the_spread_of_few_rows_is_that_of_many() {
        const DIM: usize = 32;
        let mut random = random(1, 0);
        let squares: Vec<f64> = (0..20)
            .map(|_| {
                let rows: Vec<f32> = (0..200 * DIM)
                    .map(|_| StandardNormal.sample(&mut random))
                    .collect();
                let population = Population::new(Vectors::checked(&rows, DIM), 200).unwrap();
                let moments = Moments::of(Vectors::checked(&population.rows, DIM));
                assert!(moments.mean().iter().all(|mean| mean.abs() < 1e-5));
                moments.covariance().squared_norm_l2()
            })
            .collect();
        // The trace of the square of the identity; of the rows as they are it is 32 + 32² / 200, about 37.
        let mean = squares.iter().sum::<f64>() / 20.0;
        assert!((mean - 32.0).abs() < 0.7, "{mean}");
    }

    #[test]
    fn the_sum_is_that_of_the_last_rows() {
        // 13 values: one stretch of lanes, and a bit.
        let row = |at: usize| -> Vec<f32> { (0..13).map(|i| (at * 13 + i) as f32 * 0.1).collect() };
        let mut sum = vec![0.0; 13];
        for (oldest, new) in [
            (vec![0.0; 13], row(1)),
            (vec![0.0; 13], row(2)),
            (row(1), row(3)),
        ] {
            replace(&mut sum, &oldest, &new);
        }
        let square = replace(&mut sum, &row(2), &row(4));
        let expected = |i| f64::from(row(3)[i]) + f64::from(row(4)[i]);
        assert!((0..13).all(|i| (sum[i] - expected(i)).abs() < 1e-12));
        let squares: f64 = (0..13).map(|i| expected(i).powi(2)).sum();
        assert!((square / squares - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_run_ends_at_the_first_record_above_the_threshold() {
        let streams = [
            Records(vec![(1.0, 1), (4.0, 7), (6.0, 90)]),
            Records(vec![(2.0, 1), (3.0, 20)]),
        ];
        let length = |threshold| run_length(&streams, threshold, 10, 100);
        assert_eq!(length(0.5), 9.0 + 1.0);
        assert_eq!(length(2.0), 9.0 + (7.0 + 20.0) / 2.0);
        // The second is followed to its end.
        assert_eq!(length(4.0), 9.0 + 90.0 + 100.0);
        assert_eq!(length(6.0), f64::INFINITY);
    }
}
