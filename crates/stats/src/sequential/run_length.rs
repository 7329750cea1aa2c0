//! How long a watched stream runs up to a false alarm, by simulated ones.

use rand::{Rng, RngExt};
use rayon::prelude::*;

use crate::Vectors;
use crate::permutation::generator;

/// Streams that the threshold is found on: some 500 of them alarm, so that the run time has a standard error of 4 %.
const STREAMS: u64 = 800;

/// Rows whose mean, scaled, stands for the error of a mean.
const OFFSET_ROWS: usize = 100;

/// Rows of features as they come without drift, to draw from.
pub(super) struct Population {
    dim: usize,
    /// About their mean.
    rows: Vec<f32>,
    /// Rows that the live stream knows the mean from.
    baseline: usize,
}

/// The largest statistics of a stream so far, in ascending order, each with the number of statistics up to it.
struct Records(Vec<(f64, usize)>);

impl Population {
    /// `held_out` are features of rows that the map of the features has not seen.
    pub(super) fn new(held_out: Vectors<'_>, baseline: usize) -> Self {
        let mean = held_out.mean();
        let rows = held_out.iter();
        Self {
            dim: held_out.dim(),
            rows: rows
                .flat_map(|row| row.iter().zip(&mean).map(|(value, mean)| value - mean))
                .collect(),
            baseline,
        }
    }

    /// The statistic above which streams alarm once in `run_time` rows, starting anew after each alarm.
    pub(super) fn threshold(&self, window: usize, run_time: f64, seed: u64) -> f64 {
        // Followed as long as a run: a third of them do not alarm by then.
        let length = run_time.ceil() as usize;
        let streams: Vec<Records> = (0..STREAMS)
            .into_par_iter()
            .map(|stream| self.follow(window, length, &mut generator(seed, stream)))
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

    /// A stream followed for `length` statistics.
    ///
    /// The rows of a window are drawn without replacement: two of many values are nearly at right angles, and a row that came
    /// twice would lengthen the sum as they never do. Such a mean varies by `1/window - 1/count` of what a row does, and the
    /// offset has the rest.
    fn follow(&self, window: usize, length: usize, random: &mut impl Rng) -> Records {
        let row = |at: usize| &self.rows[at * self.dim..][..self.dim];
        let count = self.rows.len() / self.dim;
        let mut sum = self.offset(window, random);
        // The rows of the window, in a ring, before all others.
        let mut order: Vec<usize> = (0..count).collect();
        let zeros = vec![0.0; self.dim];
        let (mut records, mut largest) = (Vec::new(), f64::NEG_INFINITY);
        for at in 0..window + length - 1 {
            let (place, others) = (at % window, window.min(at));
            let oldest = if at < window {
                &zeros
            } else {
                row(order[place])
            };
            order.swap(place, random.random_range(others..count));
            let square = replace(&mut sum, oldest, row(order[place]));
            if at + 1 >= window && square > largest {
                largest = square;
                records.push((square / window as f64, at + 2 - window));
            }
        }
        Records(records)
    }

    /// What the sum of a window is off by as long as the stream lasts: the mean of the stream is not that of the baseline, nor
    /// that of these rows.
    fn offset(&self, window: usize, random: &mut impl Rng) -> Vec<f64> {
        let count = self.rows.len() / self.dim;
        let variance = 1.0 / self.baseline as f64 + 1.0 / count as f64;
        let scale = window as f64 * (variance / OFFSET_ROWS as f64).sqrt();
        let mut sum = vec![0.0; self.dim];
        for _ in 0..OFFSET_ROWS {
            let row = &self.rows[random.random_range(0..count) * self.dim..][..self.dim];
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += scale * f64::from(*value);
            }
        }
        sum
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
    fn statistics_of_few_rows_spread_like_those_of_many() {
        const DIM: usize = 32;
        let mut random = generator(1, 0);
        let mut statistics = Vec::new();
        for _ in 0..100 {
            let rows: Vec<f32> = (0..200 * DIM)
                .map(|_| StandardNormal.sample(&mut random))
                .collect();
            let population = Population::new(Vectors::checked(&rows, DIM), 400);
            for _ in 0..100 {
                statistics.push(population.follow(20, 1, &mut random).0[0].0);
            }
        }
        let mean = statistics.iter().sum::<f64>() / 1e4;
        let squares: f64 = statistics.iter().map(|value| (value - mean).powi(2)).sum();
        // A multiple of a chi-square with 32 degrees of freedom: the mean of 20 rows less that of 400.
        let multiple = 1.0 + 20.0 / 400.0;
        assert!((mean / multiple / 32.0 - 1.0).abs() < 0.02, "{mean}");
        // A standard error of 2 %; rows drawn with replacement are 16 % off.
        let variance = squares / 1e4 / multiple.powi(2);
        assert!((variance / 64.0 - 1.0).abs() < 0.07, "{variance}");
    }

    #[test]
    fn a_window_has_no_row_twice() {
        // Of four numbers about 0 that are far apart the sum of any three is known.
        let rows = [-1.0, 10.0, 100.0, -109.0];
        let population = Population::new(Vectors::checked(&rows, 1), 1_000_000_000);
        for stream in 0..200 {
            let Records(records) = population.follow(3, 30, &mut generator(2, stream));
            let offset = population.offset(3, &mut generator(2, stream))[0];
            for (statistic, _) in records {
                let near = rows.iter().any(|left_out| {
                    let sum = f64::from(-left_out) + offset;
                    (sum * sum / 3.0 - statistic).abs() < 1e-6 * statistic.max(1.0)
                });
                assert!(near, "{statistic}");
            }
        }
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
