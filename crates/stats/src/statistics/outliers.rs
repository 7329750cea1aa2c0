//! Rows of a window that are far from every row of the baseline.

use driftline_core::Result;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::Arch;
use rayon::prelude::*;

use crate::permutation::{Blocks, minimum_detectable_normal_shift, split_halves};
use crate::{DriftTest, TestOptions, TestOutcome, TestResult, Vectors};

/// Which neighbour the distance goes to: not the first, which may be an odd row itself.
const NEIGHBOUR: usize = 5;

/// Rows of the baseline that distances are taken to, at most.
const CORESET: usize = 500;

/// The share of the baseline that is beyond the threshold.
const TAIL: f64 = 0.01;

/// Rows whose distances are computed at once.
const CHUNK: usize = 128;

/// Values that are looked at side by side.
const LANES: usize = 16;

const SEED: u64 = 42;

/// The share of rows whose distance to their 5th nearest neighbour in the baseline is beyond the 99th percentile of the
/// baseline: rows out of distribution.
///
/// One half of the baseline gives the neighbours, a fixed subsample of at most 500 rows, and the other half the distances
/// that the window's are compared with: a row's distance to the subsample it is in would be too small. Without drift
/// the ranks of the window's distances among those of the held-out half are a permutation like any other, so every p-value
/// is by permutation of ranks, which accounts for that the threshold is itself an estimate.
///
/// The p-value looks at all thresholds at once. Where a row is among the largest `t` of all distances, as a share of all
/// rows, it counts `t^(-1/2)`, the sum of its exceedances of all thresholds with weight `t^(-3/2)`. One threshold alone has too
/// few values to be a test of the stated level (20 rows mostly have none beyond it), and sees neither ten rows in 1,000
/// that are very far nor all rows that are a little far as well as the sum of all does.
///
/// | | |
/// | --- | --- |
/// | value | share of rows, 0 to 1; without drift about 0.01 |
/// | cost | one product of the window with the subsample in f32, `n · 500 · d`, and `permutations` sums of at most about 50 blocks |
/// | not for | a window that is closer to the baseline than the baseline is, as with less spread |
///
/// The distance is that of Ramaswamy, Rastogi and Shim 2000; the test is a linear rank test (Hájek and Šidák 1967).
#[derive(Debug, Clone)]
pub struct OutlierShare {
    dim: usize,
    rows: usize,
    mean: Vec<f32>,
    /// f32 `[subsample, dim]`, less the mean: products of numbers about 0 lose the fewest digits.
    subsample: Vec<f32>,
    /// Half the squared length of each row of the subsample.
    half_norms: Vec<f32>,
    /// Of the rows that the subsample was not drawn from, in order.
    held_out: Vec<f32>,
}

impl OutlierShare {
    /// Draws the subsample and measures the distances of the other half of the baseline, whose rows depend on each other over
    /// `block` rows; see [`TestOptions::block`].
    pub fn fit(baseline: Vectors<'_>, block: usize) -> Self {
        let dim = baseline.dim();
        let [near, held_out] = split_halves(baseline, block, SEED);
        let rows = Vectors::checked(&near, dim).subsample(CORESET, SEED);
        let mean = Vectors::checked(&rows, dim).mean();
        let subsample: Vec<f32> = rows
            .chunks_exact(dim)
            .flat_map(|row| less(row, &mean))
            .collect();
        let half_norms = subsample.chunks_exact(dim).map(half_norm).collect();
        let mut fitted = Self {
            dim,
            rows: baseline.rows(),
            mean,
            subsample,
            half_norms,
            held_out: Vec::new(),
        };
        fitted.held_out = fitted.distances(&held_out);
        fitted
    }

    /// The squared distance of each row to its 5th nearest neighbour in the subsample, or to the last of fewer.
    fn distances(&self, rows: &[f32]) -> Vec<f32> {
        let mut distances = vec![f32::INFINITY; rows.len() / self.dim];
        if self.subsample.is_empty() {
            return distances;
        }
        rows.par_chunks(CHUNK * self.dim)
            .zip(distances.par_chunks_mut(CHUNK))
            .for_each(|(rows, distances)| self.distances_of_chunk(rows, distances));
        distances
    }

    fn distances_of_chunk(&self, rows: &[f32], distances: &mut [f32]) {
        let subsample = self.half_norms.len();
        let rows: Vec<f32> = rows
            .chunks_exact(self.dim)
            .flat_map(|row| less(row, &self.mean))
            .collect();
        let mut products = vec![0.0; subsample * distances.len()];
        matmul(
            MatMut::from_column_major_slice_mut(&mut products, subsample, distances.len()),
            Accum::Replace,
            MatRef::from_row_major_slice(&self.subsample, subsample, self.dim),
            MatRef::from_column_major_slice(&rows, self.dim, distances.len()),
            1.0,
            Par::Seq,
        );
        let (last, simd) = (NEIGHBOUR.min(subsample) - 1, Arch::new());
        for ((row, products), distance) in rows
            .chunks_exact(self.dim)
            .zip(products.chunks_exact_mut(subsample))
            .zip(distances)
        {
            let nearest = simd.dispatch(
                #[inline(always)]
                move || {
                    let products = products;
                    for (product, half_norm) in products.iter_mut().zip(&self.half_norms) {
                        *product = half_norm - *product;
                    }
                    nearest(products, last)
                },
            );
            let square = 2.0 * (nearest + half_norm(row));
            // So far that f32 has no number for it.
            *distance = if square.is_nan() {
                f32::INFINITY
            } else {
                square.max(0.0)
            };
        }
    }
}

/// The value that `last` others are below, at most [`NEIGHBOUR`] less one.
#[inline(always)]
fn nearest(values: &[f32], last: usize) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    // Of each lane the least, in ascending order: a value sinks past those that are less, without a branch.
    let mut lanes = [[f32::INFINITY; LANES]; NEIGHBOUR];
    for chunk in chunks {
        let mut sinking = *chunk;
        for lanes in &mut lanes {
            for (least, value) in lanes.iter_mut().zip(&mut sinking) {
                let less = *value < *least;
                (*least, *value) = if less {
                    (*value, *least)
                } else {
                    (*least, *value)
                };
            }
        }
    }
    let mut nearest = [f32::INFINITY; NEIGHBOUR];
    for value in lanes.as_flattened().iter().chain(rest) {
        if *value < nearest[last] {
            let at = nearest.partition_point(|other| other <= value);
            nearest[at..=last].rotate_right(1);
            nearest[at] = *value;
        }
    }
    nearest[last]
}

impl DriftTest for OutlierShare {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        Vectors::checked(&[], self.dim).same_space(&window)?;
        if self.rows < 2 {
            return Ok(TestOutcome::NotEnoughRows {
                rows: self.rows,
                needed: 2,
            });
        }
        let (held_out, window) = (&self.held_out, self.distances(window.values()));
        let scores = scores(held_out, &window);
        let (baseline, rows) = scores.split_at(held_out.len());
        let [baseline, rows] = [baseline, rows].map(|sample| Vectors::checked(sample, 1));
        let blocks = match Blocks::new(baseline, rows, options) {
            Ok(blocks) => blocks,
            Err(outcome) => return Ok(outcome),
        };
        let null = blocks.null_distribution(|difference| difference[0]);
        let share = ExceedanceShare::new(held_out.len(), window.len());
        let value = share.of(held_out, &window);
        Ok(TestOutcome::Tested(TestResult {
            value,
            expected: share.mean,
            effect: (value - share.mean).max(0.0),
            p_value: null.p_value(),
            // The effective sample size of a block is one row.
            minimum_detectable_effect: minimum_detectable_normal_shift(
                share.deviation * (options.block.max(1) as f64).sqrt(),
                options.alpha,
            )?
            .min(1.0),
        }))
    }
}

/// `t^(-1/2)` of each row, for a row among the largest share `t` of all distances: first the held-out ones, then the window's.
fn scores(held_out: &[f32], window: &[f32]) -> Vec<f32> {
    let mut all: Vec<(f32, usize)> = held_out.iter().chain(window).copied().zip(0..).collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let score = |rank: usize| (rank as f64 / all.len() as f64).sqrt().recip();
    let mut scores = vec![0.0; all.len()];
    let mut at = 0;
    // Equal distances share their scores.
    for equal in all.chunk_by(|a, b| a.0 == b.0) {
        let ranks = at + 1..=at + equal.len();
        at += equal.len();
        let mean = ranks.map(score).sum::<f64>() / equal.len() as f64;
        for (_, row) in equal {
            scores[*row] = mean as f32;
        }
    }
    scores
}

/// The share of a window's rows beyond the `r`-th largest of `m` held-out distances. Without drift at least `e` of `n` rows
/// are, where at least `e` of the `r + e - 1` largest of all are of the window: a negative hypergeometric number.
struct ExceedanceShare {
    r: usize,
    mean: f64,
    deviation: f64,
}

impl ExceedanceShare {
    fn new(held_out: usize, window: usize) -> Self {
        let r = ((TAIL * (held_out + 1) as f64).round() as usize).max(1);
        let [r_, m, n] = [r, held_out, window].map(|rows| rows as f64);
        let mean = r_ / (m + 1.0);
        let variance = mean * (1.0 - mean) * (n + m + 1.0) / (n * (m + 2.0));
        Self {
            r,
            mean,
            deviation: variance.max(0.0).sqrt(),
        }
    }

    fn of(&self, held_out: &[f32], window: &[f32]) -> f64 {
        let mut held_out = held_out.to_vec();
        held_out.sort_by(|a, b| b.total_cmp(a));
        let Some(threshold) = held_out.get(self.r - 1) else {
            return 0.0;
        };
        let beyond = window.iter().filter(|distance| *distance > threshold);
        beyond.count() as f64 / window.len() as f64
    }
}

fn less<'a>(row: &'a [f32], mean: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    row.iter().zip(mean).map(|(value, mean)| value - mean)
}

fn half_norm(row: &[f32]) -> f32 {
    row.iter().map(|value| value * value).sum::<f32>() / 2.0
}

#[cfg(test)]
mod tests {
    use rand::seq::SliceRandom;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};
    use statrs::distribution::{DiscreteCDF, Hypergeometric};

    use super::*;
    use crate::permutation::generator;

    const DIM: usize = 8;

    fn normal(rows: usize, scale: f32, random: &mut ChaCha8Rng) -> Vec<f32> {
        (0..rows * DIM)
            .map(|_| {
                let value: f32 = StandardNormal.sample(random);
                7.0 + scale * value
            })
            .collect()
    }

    fn vectors(values: &[f32]) -> Vectors<'_> {
        Vectors::new("rows", values, DIM).unwrap()
    }

    /// The share of `count` windows at p <= 0.05, each with a baseline of its own.
    fn alarms(
        baseline: usize,
        count: usize,
        seed: u64,
        window: impl Fn(&mut ChaCha8Rng) -> Vec<f32> + Sync,
    ) -> f64 {
        let alarms = (0..count as u64).into_par_iter().filter(|at| {
            let mut random = generator(seed, *at);
            let fitted = OutlierShare::fit(vectors(&normal(baseline, 1.0, &mut random)), 1);
            let options = TestOptions {
                permutations: 199,
                seed: *at,
                ..TestOptions::default()
            };
            let outcome = fitted
                .test(vectors(&window(&mut random)), &options)
                .unwrap();
            outcome.result().unwrap().p_value <= 0.05
        });
        alarms.count() as f64 / count as f64
    }

    #[test]
    fn the_nearest_are_those_that_sorting_finds() {
        let mut random = generator(1, 1);
        for count in [1, 3, 5, 15, 16, 17, 100, 500] {
            let mut values: Vec<f32> = (0..count).map(|at| (at / 3) as f32 - 5.0).collect();
            values.shuffle(&mut random);
            let last = NEIGHBOUR.min(count) - 1;
            let found = nearest(&values, last);
            // What is not a number is near to nothing.
            let among_nan = values.iter().flat_map(|value| [f32::NAN, *value]);
            assert_eq!(nearest(&among_nan.collect::<Vec<_>>(), last), found);
            values.sort_by(f32::total_cmp);
            assert_eq!(found, values[last], "{count}");
        }
    }

    #[test]
    fn clean_windows_alarm_as_often_as_the_p_value_says() {
        for (rows, windows) in [(20, 2_000), (50, 2_000), (200, 2_000), (1_000, 800)] {
            let share = alarms(500, windows, 1, |random| normal(rows, 1.0, random));
            println!("{rows} rows: {share}");
            assert!((0.03..=0.07).contains(&share), "{rows} rows: {share}");
        }
    }

    #[test]
    fn a_few_far_rows_are_seen_and_so_is_more_spread() {
        let far = |random: &mut ChaCha8Rng| {
            let mut rows = normal(1_000, 1.0, random);
            rows[..10 * DIM].iter_mut().for_each(|value| *value += 9.0);
            rows
        };
        let share = alarms(5_000, 40, 2, far);
        println!("10 of 1,000 far: {share}");
        assert!(share >= 0.9, "{share}");
        let share = alarms(5_000, 40, 3, |random| normal(1_000, 1.05, random));
        println!("5 % more spread: {share}");
        assert!(share >= 0.9, "{share}");
    }

    #[test]
    fn distances_are_those_to_the_fifth_neighbour() {
        let mut random = generator(4, 0);
        let fitted = OutlierShare::fit(vectors(&normal(600, 1.0, &mut random)), 1);
        let rows = normal(100, 2.0, &mut random);
        for (row, found) in rows.chunks_exact(DIM).zip(fitted.distances(&rows)) {
            let mut squares: Vec<f64> = (fitted.subsample.chunks_exact(DIM))
                .map(|other| {
                    let parts = row.iter().zip(other).zip(&fitted.mean);
                    parts
                        .map(|((a, b), mean)| f64::from(a - b - mean).powi(2))
                        .sum()
                })
                .collect();
            squares.sort_by(f64::total_cmp);
            assert!((f64::from(found) / squares[4] - 1.0).abs() < 1e-4);
        }
    }

    #[test]
    fn the_share_beyond_is_negative_hypergeometric_under_divisions() {
        let (held_out, window) = (250, 200);
        let share = ExceedanceShare::new(held_out, window);
        assert_eq!(share.r, 3);
        let distances: Vec<f32> = (0..450).map(|at| at as f32).collect();
        let counts: Vec<f64> = (0..20_000)
            .map(|permutation| {
                let mut order = distances.clone();
                order.shuffle(&mut generator(5, permutation));
                let (held_out, rows) = order.split_at(held_out);
                share.of(held_out, rows) * window as f64
            })
            .collect();
        for e in 1..10 {
            let exact = Hypergeometric::new(450, window as u64, share.r as u64 + e - 1)
                .unwrap()
                .sf(e - 1);
            let found = counts
                .iter()
                .filter(|count| **count >= e as f64 - 0.5)
                .count();
            let found = found as f64 / 20_000.0;
            assert!((found - exact).abs() < 0.012, "{e}: {found} is not {exact}");
        }
        let n = window as f64;
        let mean = counts.iter().sum::<f64>() / 20_000.0 / n;
        let squares: f64 = counts.iter().map(|count| (count / n - mean).powi(2)).sum();
        assert!((mean / share.mean - 1.0).abs() < 0.03, "{mean}");
        let deviation = (squares / 20_000.0).sqrt();
        assert!(
            (deviation / share.deviation - 1.0).abs() < 0.03,
            "{deviation}"
        );
        let (held_out, rows) = distances.split_at(held_out);
        assert_eq!(share.of(held_out, rows), 1.0);
    }

    #[test]
    fn odd_rows_have_an_answer() {
        let mut random: ChaCha8Rng = generator(6, 0);
        let baseline = normal(500, 1.0, &mut random);
        let windows = [
            normal(1, 1.0, &mut random),
            normal(2, 1.0, &mut random),
            normal(900, 1.0, &mut random),
            vec![1e38; 30 * DIM],
            [f32::MAX, -f32::MAX].repeat(30 * DIM / 2),
            vec![],
        ];
        for baseline in [
            &baseline[..],
            &baseline[..DIM],
            &baseline[..2 * DIM],
            &[0.5; 60 * DIM],
            &[],
        ] {
            let fitted = OutlierShare::fit(vectors(baseline), 1);
            for (window, block) in windows
                .iter()
                .flat_map(|window| [(window, 1), (window, 10)])
            {
                let options = TestOptions {
                    block,
                    ..TestOptions::default()
                };
                let outcome = fitted.test(vectors(window), &options).unwrap();
                if let Some(result) = outcome.result() {
                    let TestResult {
                        value,
                        expected,
                        effect,
                        p_value,
                        minimum_detectable_effect,
                    } = *result;
                    assert!(
                        [value, expected, effect, minimum_detectable_effect]
                            .iter()
                            .all(|x| x.is_finite())
                    );
                    assert!(p_value > 0.0 && p_value <= 1.0);
                }
            }
            let other = Vectors::new("rows", &[0.0; 6], 3).unwrap();
            assert!(fitted.test(other, &TestOptions::default()).is_err());
        }
        // Equal rows are no drift.
        let fitted = OutlierShare::fit(vectors(&[0.5; 60 * DIM]), 1);
        let outcome = fitted
            .test(vectors(&[0.5; 30 * DIM]), &TestOptions::default())
            .unwrap();
        assert_eq!(outcome.result().unwrap().p_value, 1.0);
    }
}
