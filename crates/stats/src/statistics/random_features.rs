//! The maximum mean discrepancy from random Fourier features.

use driftline_core::Result;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use super::pairwise::median_distance;
use crate::permutation::{Blocks, generator};
use crate::{DriftTest, TestOptions, TestOutcome, Vectors};

/// Frequencies; each gives a cosine and a sine.
const FREQUENCIES: usize = 64;

/// Features of a row.
pub(crate) const FEATURES: usize = 2 * FREQUENCIES;

/// Rows that are projected at once.
const CHUNK: usize = 128;

const SEED: u64 = 42;

/// The maximum mean discrepancy (MMD) with a Gaussian kernel, from 64 random Fourier features: the distance between the means
/// of `cos(w·x)` and `sin(w·x)` over random frequencies `w`, by permutation. It sees every change of the distribution, of
/// spread and of correlation too.
///
/// The width of the kernel is the median distance between rows of the baseline. Sums of the features are exactly mergeable
/// for one baseline.
///
/// | | |
/// | --- | --- |
/// | value | distance of the mean features, 0 to about 2 |
/// | cost | `128 n d` for the projections, and `permutations` sums of at most about 50 blocks |
/// | not for | a small shift of the mean, which [`Hotelling`](crate::Hotelling) sees with a third of the rows |
///
/// Rahimi and Recht 2007; Gretton et al. 2012.
#[derive(Debug, Clone)]
pub struct RandomFeatureMmd {
    dim: usize,
    width: f64,
    /// Less every row: features of numbers about 0 lose the fewest digits.
    mean: Vec<f32>,
    /// f32 `[FREQUENCIES, dim]`
    frequencies: Vec<f32>,
    /// Of the baseline, f32 `[m, 2 FREQUENCIES]`.
    pub(crate) features: Vec<f32>,
}

impl RandomFeatureMmd {
    /// Finds the kernel's width, draws the frequencies, and keeps the features of the baseline.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        let dim = baseline.dim();
        let width = median_distance(baseline, SEED);
        let mut random = generator(SEED, 0);
        let frequencies = (0..FREQUENCIES * dim).map(|_| {
            let normal: f64 = StandardNormal.sample(&mut random);
            (normal / width) as f32
        });
        let mut fitted = Self {
            dim,
            width,
            mean: baseline.mean(),
            frequencies: frequencies.collect(),
            features: Vec::new(),
        };
        fitted.features = fitted.features(baseline);
        fitted
    }

    /// Standard deviation of the Gaussian kernel, in units of the rows.
    pub fn width(&self) -> f64 {
        self.width
    }

    /// Cosines and sines of each row, f32 `[N, 2 FREQUENCIES]`, scaled so that their squares add to 1.
    fn features(&self, rows: Vectors<'_>) -> Vec<f32> {
        let mut features = vec![0.0; rows.rows() * 2 * FREQUENCIES];
        rows.values()
            .par_chunks(CHUNK * self.dim)
            .zip(features.par_chunks_mut(CHUNK * 2 * FREQUENCIES))
            .for_each(|(rows, features)| self.features_of_chunk(rows, features));
        features
    }

    /// Those of a few rows, on this thread, into `[N, FEATURES]`.
    pub(crate) fn features_of_chunk(&self, rows: &[f32], features: &mut [f32]) {
        let count = rows.len() / self.dim;
        let centred: Vec<f32> = rows
            .chunks_exact(self.dim)
            .flat_map(|row| row.iter().zip(&self.mean).map(|(value, mean)| value - mean))
            .collect();
        let mut phases = vec![0.0; count * FREQUENCIES];
        matmul(
            MatMut::from_column_major_slice_mut(&mut phases, FREQUENCIES, count),
            Accum::Replace,
            MatRef::from_row_major_slice(&self.frequencies, FREQUENCIES, self.dim),
            MatRef::from_column_major_slice(&centred, self.dim, count),
            1.0,
            Par::Seq,
        );
        let (scale, simd) = ((FREQUENCIES as f32).sqrt().recip(), Arch::new());
        let each = phases.chunks_exact(FREQUENCIES);
        for (phases, features) in each.zip(features.chunks_exact_mut(2 * FREQUENCIES)) {
            let (cosines, sines) = features.split_at_mut(FREQUENCIES);
            simd.dispatch(
                #[inline(always)]
                || {
                    for ((phase, cosine), sine) in phases.iter().zip(cosines).zip(sines) {
                        (*sine, *cosine) = sine_and_cosine(*phase);
                        *sine *= scale;
                        *cosine *= scale;
                    }
                },
            );
        }
    }
}

impl DriftTest for RandomFeatureMmd {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        Vectors::checked(&[], self.dim).same_space(&window)?;
        let rows = self.features(window);
        let [baseline, window] =
            [&self.features, &rows].map(|features| Vectors::checked(features, 2 * FREQUENCIES));
        let blocks = match Blocks::new(baseline, window, options) {
            Ok(blocks) => blocks,
            Err(outcome) => return Ok(outcome),
        };
        let null = blocks
            .null_distribution(|difference| difference.iter().map(|value| value * value).sum());
        Ok(TestOutcome::Tested(null.result_of_square(options.alpha)))
    }
}

/// Sine and cosine without branches, so that the loop over them is vectorised: the phase is brought to a quarter of a turn
/// about a multiple of half a turn, where two short polynomials hold. Wrong by less than 1e-6 up to some thousand turns.
#[inline(always)]
fn sine_and_cosine(phase: f32) -> (f32, f32) {
    const HALF_TURN: [f32; 2] = [3.140_625, 9.676_536e-4];
    let turns = (phase * std::f32::consts::FRAC_1_PI).round();
    let x = (phase - turns * HALF_TURN[0]) - turns * HALF_TURN[1];
    let odd = turns - 2.0 * (turns * 0.5).floor();
    let sign = 1.0 - 2.0 * odd;
    let square = x * x;
    let sine = x
        * (1.0
            + square
                * (-1.666_666_6e-1
                    + square
                        * (8.333_33e-3
                            + square
                                * (-1.984_09e-4 + square * (2.752_55e-6 - square * 2.388_9e-8)))));
    let cosine = 1.0
        + square
            * (-0.5
                + square
                    * (4.166_666_6e-2
                        + square
                            * (-1.388_888_8e-3
                                + square
                                    * (2.480_16e-5
                                        + square * (-2.755_7e-7 + square * 2.087_6e-9)))));
    (sign * sine, sign * cosine)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIM: usize = 16;

    /// Normal rows whose neighbouring components have this correlation.
    fn rows(count: usize, deviation: f64, correlation: f64, seed: u64) -> Vec<f32> {
        let mut random = generator(seed, 7);
        let mut values = Vec::new();
        for _ in 0..count {
            let mut last: f64 = StandardNormal.sample(&mut random);
            for _ in 0..DIM {
                values.push((deviation * last) as f32);
                let fresh: f64 = StandardNormal.sample(&mut random);
                last = correlation * last + (1.0 - correlation * correlation).sqrt() * fresh;
            }
        }
        values
    }

    fn seen(windows: u64, rows_of: impl Fn(u64) -> Vec<f32>) -> f64 {
        let seen = (0..windows).filter(|seed| {
            let baseline = rows(1_000, 1.0, 0.0, 10_000 + seed);
            let window = rows_of(*seed);
            let fitted = RandomFeatureMmd::fit(Vectors::new("rows", &baseline, DIM).unwrap());
            let options = TestOptions {
                permutations: 199,
                seed: *seed,
                ..TestOptions::default()
            };
            let window = Vectors::new("rows", &window, DIM).unwrap();
            let outcome = fitted.test(window, &options).unwrap();
            outcome.result().unwrap().p_value <= 0.05
        });
        seen.count() as f64 / windows as f64
    }

    #[test]
    fn clean_windows_alarm_as_often_as_the_p_value_says() {
        for count in [20, 200] {
            let share = seen(500, |seed| rows(count, 1.0, 0.0, seed));
            // 5 % with a standard error of 1 %.
            assert!((0.02..=0.08).contains(&share), "{count} rows: {share}");
        }
    }

    #[test]
    fn a_change_of_spread_and_one_of_correlation_are_seen() {
        assert!(seen(20, |seed| rows(1_000, 1.15, 0.0, seed)) >= 0.9);
        assert!(seen(20, |seed| rows(1_000, 1.0, 0.5, seed)) >= 0.9);
    }

    #[test]
    fn the_value_is_the_distance_of_the_mean_features() {
        let (baseline, window) = (rows(700, 1.0, 0.0, 1), rows(40, 1.2, 0.4, 2));
        let [baseline, window] = [&baseline, &window].map(|rows| Vectors::new("rows", rows, DIM));
        let (baseline, window) = (baseline.unwrap(), window.unwrap());
        let fitted = RandomFeatureMmd::fit(baseline);
        // In f64 and with the library's sines.
        let mean_of = |rows: Vectors<'_>, function: fn(f64) -> f64| -> Vec<f64> {
            let frequencies = fitted.frequencies.chunks_exact(DIM);
            let mean = |frequency: &[f32]| {
                let values = rows.values().chunks_exact(DIM).map(|row| {
                    let phase = row.iter().zip(&fitted.mean).zip(frequency);
                    function(
                        phase
                            .map(|((x, mean), f)| f64::from(x - mean) * f64::from(*f))
                            .sum(),
                    )
                });
                values.sum::<f64>() / rows.rows() as f64
            };
            frequencies.map(mean).collect()
        };
        let square = |function| -> f64 {
            let differences = mean_of(baseline, function)
                .into_iter()
                .zip(mean_of(window, function));
            differences.map(|(b, w)| (w - b).powi(2)).sum()
        };
        let expected = ((square(f64::sin) + square(f64::cos)) / FREQUENCIES as f64).sqrt();
        let outcome = fitted.test(window, &TestOptions::default()).unwrap();
        let value = outcome.result().unwrap().value;
        // The features are f32.
        assert!((value - expected).abs() < 1e-6, "{value} and {expected}");
    }

    #[test]
    fn sines_and_cosines_are_those_of_the_library() {
        for step in -200_000..200_000 {
            let phase = step as f32 * 1e-3;
            let (sine, cosine) = sine_and_cosine(phase);
            let exact = f64::from(phase);
            assert!((f64::from(sine) - exact.sin()).abs() < 2e-6, "{phase}");
            assert!((f64::from(cosine) - exact.cos()).abs() < 2e-6, "{phase}");
        }
    }

    #[test]
    fn equal_rows_have_an_answer() {
        let same = vec![0.5; 40 * DIM];
        let fitted = RandomFeatureMmd::fit(Vectors::new("rows", &same, DIM).unwrap());
        assert_eq!(fitted.width(), 1.0);
        let window = Vectors::new("rows", &same[..30 * DIM], DIM).unwrap();
        let outcome = fitted.test(window, &TestOptions::default()).unwrap();
        assert_eq!(outcome.result().unwrap().p_value, 1.0);
    }
}
