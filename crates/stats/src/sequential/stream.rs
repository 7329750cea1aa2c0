//! A stream of rows, watched row by row.

use std::collections::VecDeque;

use driftline_core::{Error, ErrorKind, Result};

use super::run_length::Population;
use crate::moments::whitening;
use crate::statistics::{FEATURES, RandomFeatureMmd};
use crate::{Moments, Vectors};

/// The longest run time that is planned, in rows.
const LONGEST: f64 = 1e6;

/// The mean of the last `window` rows against the baseline, looked at with every row: an alarm where it is so far off that
/// the expected run time between false alarms (ERT) is as many rows as were asked for.
///
/// The statistic is `window` times the squared distance between the mean features of the last rows and those of the baseline.
/// [`OnlineTest::hotelling`] has the whitened row as features and sees shifts of the mean; [`OnlineTest::mmd`] has random
/// Fourier features and sees every change.
///
/// The threshold is the one at which 800 simulated streams of baseline rows run as long as asked for, from one alarm to the
/// next, the `window - 1` rows before there is a statistic included. That is after Cobb, Van Looveren and Klaise 2022, with
/// one threshold in place of one for each step. It takes `800 run_time` additions of a row of features, about a second on two
/// cores for rows of 64 and a run time of 20,000. On normal rows the realised run time was the stated one within 8 % on average
/// over baselines of 3,000 and of 20,000 rows; a single baseline of 3,000 is off by some 10 %. Under heavy tails take
/// [`OnlineTest::mmd`], whose features are bounded: the run time of the other may be twice the stated one.
///
/// Rows are taken to be independent: of a video take one of every few frames.
#[derive(Debug, Clone)]
pub struct OnlineTest {
    map: FeatureMap,
    dim: usize,
    window: usize,
    threshold: f64,
    last: VecDeque<Vec<f64>>,
    sum: Vec<f64>,
}

/// What is averaged over rows; its mean over the baseline is 0.
#[derive(Debug, Clone)]
enum FeatureMap {
    /// The row less the mean, times a matrix.
    Whitened {
        mean: Vec<f64>,
        /// `[dim, dim]`, row-major.
        whitening: Vec<f64>,
    },
    /// Cosines and sines less their mean.
    Fourier {
        map: Box<RandomFeatureMmd>,
        mean: Vec<f32>,
    },
}

impl OnlineTest {
    /// Watches the mean row, in units of the baseline's spread: Hotelling's T² of the last `window` rows, with the covariance
    /// of the baseline, shrunk after Ledoit and Wolf.
    ///
    /// False alarms come once in `run_time` rows on average. The whitening comes from one half of the baseline, the threshold
    /// from the other. A row costs `d²` operations.
    ///
    /// # Errors
    /// `InvalidConfig` for no window, or a run time below it or above a million rows; `InvalidData` for a baseline of fewer
    /// than 4 windows.
    pub fn hotelling(
        baseline: Vectors<'_>,
        window: usize,
        run_time: f64,
        seed: u64,
    ) -> Result<Self> {
        check(baseline, window, run_time)?;
        let dim = baseline.dim();
        let known: Vec<f32> = baseline.iter().step_by(2).flatten().copied().collect();
        let (covariance, _) = Moments::of(Vectors::checked(&known, dim)).ledoit_wolf();
        let whitening = whitening(&covariance)?;
        let map = FeatureMap::Whitened {
            mean: Moments::of(baseline).mean(),
            whitening: whitening
                .row_iter()
                .flat_map(|row| row.iter().copied().collect::<Vec<_>>())
                .collect(),
        };
        let held_out = baseline.iter().skip(1).step_by(2);
        let held_out: Vec<f32> = held_out
            .flat_map(|row| map.features(row))
            .map(|value| value as f32)
            .collect();
        let population = Population::new(Vectors::checked(&held_out, dim), baseline.rows());
        Ok(Self::new(
            map,
            dim,
            window,
            population.threshold(window, run_time, seed),
        ))
    }

    /// Watches the whole distribution: the maximum mean discrepancy of the last `window` rows, as [`RandomFeatureMmd`].
    ///
    /// False alarms come once in `run_time` rows on average. A row costs `64 d` operations.
    ///
    /// # Errors
    /// As [`OnlineTest::hotelling`].
    pub fn mmd(baseline: Vectors<'_>, window: usize, run_time: f64, seed: u64) -> Result<Self> {
        check(baseline, window, run_time)?;
        let mut map = RandomFeatureMmd::fit(baseline);
        // They are for tests of whole windows.
        let features = std::mem::take(&mut map.features);
        let features = Vectors::checked(&features, FEATURES);
        let threshold =
            Population::new(features, baseline.rows()).threshold(window, run_time, seed);
        let map = FeatureMap::Fourier {
            map: Box::new(map),
            mean: features.mean(),
        };
        Ok(Self::new(map, baseline.dim(), window, threshold))
    }

    fn new(map: FeatureMap, dim: usize, window: usize, threshold: f64) -> Self {
        let features = match map {
            FeatureMap::Whitened { .. } => dim,
            FeatureMap::Fourier { .. } => FEATURES,
        };
        Self {
            map,
            dim,
            window,
            threshold,
            last: VecDeque::with_capacity(window),
            sum: vec![0.0; features],
        }
    }

    /// The statistic above which it alarms.
    pub fn threshold(&self) -> f64 {
        self.threshold
    }

    /// Takes in the next row; says whether it alarms, and starts anew if so.
    ///
    /// # Errors
    /// `InvalidData` for a row of another length or with a value that is not finite; it is not taken in.
    pub fn update(&mut self, row: &[f32]) -> Result<bool> {
        let row = Vectors::new("the row", row, self.dim)?;
        if row.rows() != 1 {
            let message = format!("{} rows at once", row.rows());
            return Err(Error::new(
                ErrorKind::InvalidData,
                "watch a stream",
                message,
            ));
        }
        let features = self.map.features(row.values());
        for (sum, value) in self.sum.iter_mut().zip(&features) {
            *sum += value;
        }
        self.last.push_back(features);
        if self.last.len() > self.window {
            let oldest = self.last.pop_front().unwrap_or_default();
            for (sum, value) in self.sum.iter_mut().zip(&oldest) {
                *sum -= value;
            }
        }
        let statistic = self.sum.iter().map(|sum| sum * sum).sum::<f64>() / self.window as f64;
        let alarm = self.last.len() == self.window && statistic > self.threshold;
        if alarm {
            self.last.clear();
            self.sum.fill(0.0);
        }
        Ok(alarm)
    }
}

impl FeatureMap {
    fn features(&self, row: &[f32]) -> Vec<f64> {
        match self {
            Self::Whitened { mean, whitening } => {
                let mut features = vec![0.0; mean.len()];
                let rows = whitening.chunks_exact(mean.len());
                for ((value, mean), whitening) in row.iter().zip(mean).zip(rows) {
                    let centred = f64::from(*value) - mean;
                    for (feature, weight) in features.iter_mut().zip(whitening) {
                        *feature += centred * weight;
                    }
                }
                features
            }
            Self::Fourier { map, mean } => {
                let mut features = [0.0; FEATURES];
                map.features_of_chunk(row, &mut features);
                let centred = features.iter().zip(mean).map(|(feature, mean)| {
                    // A row too far off for its phase to be a number: a NaN would stay in the sum for ever.
                    let feature = if feature.is_nan() {
                        1.0
                    } else {
                        feature.clamp(-1.0, 1.0)
                    };
                    f64::from(feature - mean)
                });
                centred.collect()
            }
        }
    }
}

fn check(baseline: Vectors<'_>, window: usize, run_time: f64) -> Result<()> {
    if window == 0 || !(window as f64..=LONGEST).contains(&run_time) {
        let message = format!("windows of {window} rows with a run time of {run_time} rows");
        return Err(
            Error::new(ErrorKind::InvalidConfig, "watch a stream", message).remedy(
                "average at least 1 row, and ask for a run time that is longer than that, of at most a million rows",
            ),
        );
    }
    if baseline.rows() / 4 < window {
        let message = format!(
            "a baseline of {} rows for windows of {window}",
            baseline.rows()
        );
        return Err(
            Error::new(ErrorKind::InvalidData, "watch a stream", message)
                .remedy("bring at least 4 windows of rows, better 3,000 rows"),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::permutation::generator;

    const DIM: usize = 4;

    fn rows(count: usize) -> Vec<f32> {
        let mut random = generator(8, 1);
        (0..count * DIM)
            .map(|_| StandardNormal.sample(&mut random))
            .collect()
    }

    fn both(window: usize, run_time: f64) -> [Result<OnlineTest>; 2] {
        let baseline = rows(200);
        let baseline = Vectors::checked(&baseline, DIM);
        [OnlineTest::hotelling, OnlineTest::mmd].map(|fit| fit(baseline, window, run_time, 1))
    }

    #[test]
    fn settings_and_baselines_that_are_none_are_refused() {
        for (window, run_time) in [
            (0, 100.0),
            (20, 10.0),
            (20, 2e6),
            (20, f64::INFINITY),
            (20, f64::NAN),
        ] {
            let refused = both(window, run_time).map(|test| test.unwrap_err().kind());
            assert_eq!(refused, [ErrorKind::InvalidConfig; 2]);
        }
        let refused = both(51, 100.0).map(|test| test.unwrap_err().kind());
        assert_eq!(refused, [ErrorKind::InvalidData; 2]);
        assert!(both(50, 100.0).iter().all(Result::is_ok));
    }

    #[test]
    fn bad_rows_are_refused_and_leave_nothing_behind() {
        for test in both(5, 100.0) {
            let mut test = test.unwrap();
            assert!(test.update(&[f32::NAN; DIM]).is_err());
            assert!(test.update(&[0.0; 2 * DIM]).is_err());
            assert!(test.update(&[0.0; DIM + 1]).is_err());
            assert!(test.update(&[]).is_err());
            assert!(test.last.is_empty() && test.sum.iter().all(|sum| *sum == 0.0));
        }
    }

    #[test]
    fn a_row_far_off_alarms_once_and_leaves_nothing_behind() {
        for test in both(5, 1_000.0) {
            let mut test = test.unwrap();
            for far in [f32::MAX, f32::MIN, 1e20] {
                let mut alarms = vec![test.update(&[far; DIM]).unwrap()];
                alarms.extend((0..8).map(|_| test.update(&[0.1; DIM]).unwrap()));
                // The fifth row is the first that makes a window.
                let at: Vec<usize> = (0..9).filter(|at| alarms[*at]).collect();
                assert_eq!(at, [4], "{far}");
                assert!(test.sum.iter().all(|sum| sum.is_finite()));
                test.last.clear();
                test.sum.fill(0.0);
            }
        }
    }

    #[test]
    fn equal_rows_do_not_alarm() {
        let same = [0.5; 40 * DIM];
        let baseline = Vectors::checked(&same, DIM);
        for fit in [OnlineTest::hotelling, OnlineTest::mmd] {
            let mut test = fit(baseline, 5, 100.0, 1).unwrap();
            assert!((0..50).all(|_| !test.update(&[0.5; DIM]).unwrap()));
        }
    }

    #[test]
    fn threads_change_nothing_and_the_seed_little() {
        let baseline = rows(500);
        let baseline = Vectors::checked(&baseline, DIM);
        let threshold = |threads, seed| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            pool.unwrap().install(|| {
                let test = OnlineTest::hotelling(baseline, 10, 200.0, seed).unwrap();
                test.threshold()
            })
        };
        let one = threshold(1, 1);
        assert_eq!(one, threshold(3, 1));
        let other = threshold(2, 2);
        assert!(
            one != other && (one / other - 1.0).abs() < 0.03,
            "{one} {other}"
        );
    }
}
