//! A stream of rows, watched row by row.

use std::collections::VecDeque;

use driftline_core::{Error, ErrorKind, Result};
use faer::Mat;
use rand::RngExt;
use rayon::prelude::*;

use crate::division::random;
use crate::moments::whitening;
use crate::{Moments, Vectors};

/// Streams that the threshold is found on.
const STREAMS: usize = 400;

/// Length of each stream, in windows.
const STREAM_WINDOWS: usize = 10;

/// The squared length of the mean of the last `window` rows, whitened by the baseline, as every row comes: an alarm where it is
/// above a threshold at which the expected run time between false alarms (ERT) is as many rows as were asked for.
///
/// The threshold is found on 400 streams of rows drawn from the half of the baseline that the whitening was not found on, after
/// Cobb, Van Looveren and Klaise 2022: once a stream is under way, the time to an alarm is nearly geometric, so that a share
/// `1 - exp(-t / ERT)` of streams has alarmed after `t` rows.
///
/// A row costs `d²` operations. Rows are independent; of a video take one of every few frames.
#[derive(Debug, Clone)]
pub struct OnlineHotelling {
    mean: Vec<f64>,
    whitening: Mat<f64>,
    window: usize,
    threshold: f64,
    last: VecDeque<Vec<f64>>,
    sum: Vec<f64>,
}

impl OnlineHotelling {
    /// Learns from a baseline: `window` rows are averaged, false alarms come once in `run_time` rows on average.
    ///
    /// # Errors
    /// `InvalidConfig` for no window or a run time below it, `InvalidData` for a baseline of fewer than 4 rows.
    pub fn fit(baseline: Vectors<'_>, window: usize, run_time: f64, seed: u64) -> Result<Self> {
        if window == 0 || !run_time.is_finite() || run_time < window as f64 {
            let message = format!("windows of {window} rows with a run time of {run_time} rows");
            return Err(
                Error::new(ErrorKind::InvalidConfig, "watch a stream", message).remedy(
                    "average at least 1 row, and ask for a run time that is longer than that",
                ),
            );
        }
        if baseline.rows() < 4 {
            let message = format!("a baseline of {} rows", baseline.rows());
            return Err(
                Error::new(ErrorKind::InvalidData, "watch a stream", message)
                    .remedy("bring at least 4 rows, better 1,000"),
            );
        }
        let dim = baseline.dim();
        let (mut known, mut held_out) = (Vec::new(), Vec::new());
        for (at, row) in baseline.iter().enumerate() {
            let half = if at % 2 == 0 {
                &mut known
            } else {
                &mut held_out
            };
            half.extend_from_slice(row);
        }
        let moments = Moments::of(Vectors::checked(&known, dim));
        let mut watch = Self {
            mean: moments.mean(),
            whitening: whitening(&moments.ledoit_wolf().0)?,
            window,
            threshold: f64::INFINITY,
            last: VecDeque::with_capacity(window),
            sum: vec![0.0; dim],
        };
        let rows: Vec<Vec<f64>> = held_out
            .chunks_exact(dim)
            .map(|row| watch.whitened(row))
            .collect();
        watch.threshold = watch.threshold(&rows, run_time, seed);
        Ok(watch)
    }

    /// The statistic that alarms.
    pub fn alarm_at(&self) -> f64 {
        self.threshold
    }

    /// Takes in the next row; says whether it alarms, and starts anew if so.
    ///
    /// # Errors
    /// `InvalidData` for a row of another length or with a value that is not finite; it is not taken in.
    pub fn update(&mut self, row: &[f32]) -> Result<bool> {
        let row = Vectors::new("the row", row, self.mean.len())?;
        if row.rows() != 1 {
            let message = format!("{} rows at once", row.rows());
            return Err(Error::new(
                ErrorKind::InvalidData,
                "watch a stream",
                message,
            ));
        }
        let row = self.whitened(row.values());
        let alarm = self
            .push(row)
            .is_some_and(|statistic| statistic > self.threshold);
        if alarm {
            self.restart();
        }
        Ok(alarm)
    }

    fn restart(&mut self) {
        self.last.clear();
        self.sum.fill(0.0);
    }

    fn whitened(&self, row: &[f32]) -> Vec<f64> {
        let centred: Vec<f64> = row
            .iter()
            .zip(&self.mean)
            .map(|(x, m)| f64::from(*x) - m)
            .collect();
        let columns = self.whitening.col_iter();
        columns
            .map(|column| column.iter().zip(&centred).map(|(l, x)| l * x).sum())
            .collect()
    }

    /// The statistic after this row; `None` until a window is full.
    fn push(&mut self, row: Vec<f64>) -> Option<f64> {
        for (sum, value) in self.sum.iter_mut().zip(&row) {
            *sum += value;
        }
        self.last.push_back(row);
        if self.last.len() > self.window {
            let oldest = self.last.pop_front().unwrap_or_default();
            for (sum, value) in self.sum.iter_mut().zip(&oldest) {
                *sum -= value;
            }
        }
        let n = self.window as f64;
        let full = self.last.len() == self.window;
        full.then(|| self.sum.iter().map(|sum| sum * sum).sum::<f64>() / n)
    }

    /// The value that the largest statistic of a stream exceeds in the share of streams that the run time gives.
    fn threshold(&self, rows: &[Vec<f64>], run_time: f64, seed: u64) -> f64 {
        let length = self.window * STREAM_WINDOWS;
        let mut largest: Vec<f64> = (0..STREAMS as u64)
            .into_par_iter()
            .map(|stream| {
                let mut random = random(seed, stream);
                let mut watch = self.clone();
                let drawn = (0..self.window + length).filter_map(|_| {
                    let row = rows.get(random.random_range(0..rows.len()))?;
                    watch.push(row.clone())
                });
                drawn.fold(0.0, f64::max)
            })
            .collect();
        largest.sort_by(f64::total_cmp);
        let alarmed = 1.0 - (-(length as f64) / run_time).exp();
        let at = ((1.0 - alarmed) * STREAMS as f64) as usize;
        largest
            .get(at.min(STREAMS - 1))
            .copied()
            .unwrap_or(f64::INFINITY)
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    const DIM: usize = 8;

    fn rows(count: usize, shift: f64, seed: u64) -> Vec<f32> {
        let mut random = random(seed, 1);
        let normal = |_| {
            let normal: f64 = StandardNormal.sample(&mut random);
            (3.0 + shift + normal) as f32
        };
        (0..count * DIM).map(normal).collect()
    }

    #[test]
    fn false_alarms_come_about_as_often_as_stated_and_drift_is_seen_soon() {
        let run_time = 400.0;
        let baseline = rows(20_000, 0.0, 5);
        let fitted = OnlineHotelling::fit(
            Vectors::new("rows", &baseline, DIM).unwrap(),
            20,
            run_time,
            1,
        )
        .unwrap();
        let mut watch = fitted.clone();
        let stream = rows(120_000, 0.0, 6);
        let alarms = stream
            .chunks_exact(DIM)
            .filter(|row| watch.update(row).unwrap());
        // 300 are expected, with a standard error of 6 %; the threshold, from 400 streams, adds 5 %.
        let found = 120_000.0 / alarms.count() as f64;
        println!("a false alarm in {found} rows");
        assert!((found / run_time - 1.0).abs() < 0.25, "{found}");
        let mut watch = fitted;
        let after = rows(200, 1.0, 7)
            .chunks_exact(DIM)
            .position(|row| watch.update(row).unwrap());
        assert!(after.is_some_and(|after| after < 40), "{after:?}");
    }

    #[test]
    fn bad_rows_and_settings_are_refused() {
        let baseline = rows(50, 0.0, 8);
        let baseline = Vectors::new("rows", &baseline, DIM).unwrap();
        assert!(OnlineHotelling::fit(baseline, 0, 100.0, 1).is_err());
        assert!(OnlineHotelling::fit(baseline, 20, 10.0, 1).is_err());
        let few = Vectors::new("rows", &[0.0; 3 * DIM], DIM).unwrap();
        assert!(OnlineHotelling::fit(few, 2, 100.0, 1).is_err());
        let mut watch = OnlineHotelling::fit(baseline, 5, 100.0, 1).unwrap();
        assert!(watch.update(&[f32::NAN; DIM]).is_err());
        assert!(watch.update(&[0.0; 2 * DIM]).is_err());
        assert!(watch.update(&[0.0; DIM + 1]).is_err());
    }
}
