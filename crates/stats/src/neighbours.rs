//! Rows of a window that are far from every row of the baseline.

use driftline_core::Result;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::division::{check, independent, random};
use crate::halves::halves;
use crate::{Answer, DriftTest, Finding, Null, TestOptions, Vectors};

/// Which neighbour the distance goes to: not the first, which may be an odd row itself.
const NEIGHBOUR: usize = 5;

/// Rows of the baseline that distances are taken to, at most.
const CORESET: usize = 2_000;

/// The share of the baseline that is beyond the threshold.
const BEYOND: f64 = 0.01;

/// Rows whose distances are computed at once.
const CHUNK: usize = 64;

const SEED: u64 = 42;

/// The share of rows whose distance to their 5th nearest neighbour in the baseline is beyond the 99th percentile of the
/// baseline: rows out of distribution.
///
/// One half of the baseline gives the neighbours, a fixed sample of at most 2,000 rows, and the other half the distances
/// that the window's are compared with: a row's distance to the sample it is in would be too small. Without drift
/// the ranks of the window's distances among those of the held-out half are a division like any other, so every p-value
/// is by permutation of ranks, which takes in that the threshold is itself an estimate.
///
/// The p-value looks at all thresholds at once. Where a row is among the largest `t` of all distances, as a share of both
/// sides, it counts `t^(-1/2)`, the sum of its exceedances of all thresholds with weight `t^(-3/2)`. One threshold alone has too
/// few values to be a test of the stated level (20 rows mostly have none beyond it), and sees neither ten rows in 1,000
/// that are very far nor all rows that are a little far as well as the sum of all does.
///
/// | | |
/// | --- | --- |
/// | value | share of rows, 0 to 1; without drift about 0.01 |
/// | cost | one product of the window with the sample in f32, `n · 2000 · d`, and `divisions` draws of ranks |
/// | not for | a window that is closer to the baseline than the baseline is, as with less spread |
///
/// The distance is that of Ramaswamy, Rastogi and Shim 2000; the test is a linear rank test (Hájek and Šidák 1967).
#[derive(Debug, Clone)]
pub struct OutlierShare {
    dim: usize,
    rows: usize,
    mean: Vec<f32>,
    /// f32 `[sample, dim]`, less the mean: products of numbers about 0 lose the fewest digits.
    sample: Vec<f32>,
    /// Half the squared length of each row of the sample.
    half_norms: Vec<f32>,
    /// Of the rows that the sample was not drawn from, in order.
    held_out: Vec<f32>,
}

impl OutlierShare {
    /// Draws the sample and measures the distances of the other half of the baseline.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        let dim = baseline.dim();
        let [near, held_out] = halves(baseline, SEED);
        let n = near.len() / dim;
        let mut chosen =
            rand::seq::index::sample(&mut ChaCha8Rng::seed_from_u64(SEED), n, n.min(CORESET))
                .into_vec();
        chosen.sort_unstable();
        let rows = || chosen.iter().map(|row| &near[row * dim..][..dim]);
        let mut sums = vec![0.0; dim];
        for row in rows() {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        let mean: Vec<f32> = sums
            .iter()
            .map(|sum| (sum / chosen.len().max(1) as f64) as f32)
            .collect();
        let sample: Vec<f32> = rows().flat_map(|row| less(row, &mean)).collect();
        let half_norms = sample.chunks_exact(dim).map(half_norm).collect();
        let mut fitted = Self {
            dim,
            rows: baseline.rows(),
            mean,
            sample,
            half_norms,
            held_out: Vec::new(),
        };
        fitted.held_out = fitted.distances(&held_out);
        fitted
    }

    /// The squared distance of each row to its 5th nearest neighbour in the sample, or to the last of fewer.
    fn distances(&self, rows: &[f32]) -> Vec<f32> {
        let mut distances = vec![f32::INFINITY; rows.len() / self.dim];
        if self.sample.is_empty() {
            return distances;
        }
        rows.par_chunks(CHUNK * self.dim)
            .zip(distances.par_chunks_mut(CHUNK))
            .for_each(|(rows, distances)| self.distances_of_chunk(rows, distances));
        distances
    }

    fn distances_of_chunk(&self, rows: &[f32], distances: &mut [f32]) {
        let sample = self.half_norms.len();
        let rows: Vec<f32> = rows
            .chunks_exact(self.dim)
            .flat_map(|row| less(row, &self.mean))
            .collect();
        let mut products = vec![0.0; sample * distances.len()];
        matmul(
            MatMut::from_column_major_slice_mut(&mut products, sample, distances.len()),
            Accum::Replace,
            MatRef::from_row_major_slice(&self.sample, sample, self.dim),
            MatRef::from_column_major_slice(&rows, self.dim, distances.len()),
            1.0,
            Par::Seq,
        );
        let last = NEIGHBOUR.min(sample) - 1;
        for ((row, products), distance) in rows
            .chunks_exact(self.dim)
            .zip(products.chunks_exact(sample))
            .zip(distances)
        {
            // In ascending order.
            let mut nearest = [f32::INFINITY; NEIGHBOUR];
            for (half_norm, product) in self.half_norms.iter().zip(products) {
                let half = half_norm - product;
                if half < nearest[last] {
                    let at = nearest.partition_point(|other| *other <= half);
                    nearest[at..=last].rotate_right(1);
                    nearest[at] = half;
                }
            }
            let square = 2.0 * (nearest[last] + half_norm(row));
            // So far that f32 has no number for it.
            *distance = if square.is_nan() {
                f32::INFINITY
            } else {
                square.max(0.0)
            };
        }
    }
}

impl DriftTest for OutlierShare {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<Answer> {
        check(options)?;
        Vectors::new("the baseline", &[], self.dim)?.same_space(&window)?;
        if self.rows < 2 {
            return Ok(Answer::NotEnoughRows {
                rows: self.rows,
                needed: 2,
            });
        }
        let held_out = independent(Vectors::new("distances", &self.held_out, 1)?, options);
        let window = self.distances(&independent(window, options));
        let all = window.len() + held_out.len();
        let fewer = |rows, needed| Ok(Answer::NotEnoughRows { rows, needed });
        if window.is_empty() {
            return fewer(0, 1);
        }
        // One row has as many ranks as there are rows.
        let needed = (1.0 / options.alpha).ceil() as usize;
        if window.len().min(held_out.len()) == 1 && all < needed {
            return fewer(all, needed);
        }
        let ranks = Ranks::new(&held_out, &window);
        let observed = ranks.of(&ranks.window);
        let divisions: Vec<Extremes> = (0..options.divisions as u64)
            .into_par_iter()
            .map(|division| {
                let mut random = random(options.seed, division);
                let mut chosen = vec![false; all];
                for row in rand::seq::index::sample(&mut random, all, window.len()) {
                    chosen[row] = true;
                }
                ranks.of(&chosen)
            })
            .collect();
        let null =
            |of: fn(&Extremes) -> f64| Null::new(of(&observed), divisions.iter().map(of).collect());
        Ok(Answer::Finding(Finding {
            p_value: null(|of| of.score).p_value(),
            ..null(|of| of.beyond).finding(options.alpha)
        }))
    }
}

/// The distances of both sides from the largest to the smallest.
struct Ranks {
    distances: Vec<f32>,
    scores: Vec<f64>,
    window: Vec<bool>,
}

/// How far out the rows of one side are.
struct Extremes {
    score: f64,
    beyond: f64,
}

impl Ranks {
    fn new(held_out: &[f32], window: &[f32]) -> Self {
        let mut all: Vec<(f32, bool)> =
            held_out.iter().map(|distance| (*distance, false)).collect();
        all.extend(window.iter().map(|distance| (*distance, true)));
        all.sort_by(|a, b| b.0.total_cmp(&a.0));
        let count = all.len() as f64;
        let mut scores: Vec<f64> = (1..=all.len())
            .map(|rank| (rank as f64 / count).sqrt().recip())
            .collect();
        // Equal distances share their scores.
        let mut at = 0;
        for equal in all.chunk_by(|a, b| a.0 == b.0) {
            let scores = &mut scores[at..at + equal.len()];
            at += equal.len();
            let mean = scores.iter().sum::<f64>() / scores.len() as f64;
            scores.fill(mean);
        }
        let (distances, window) = all.into_iter().unzip();
        Self {
            distances,
            scores,
            window,
        }
    }

    /// Of the chosen rows as the window, the others as the held-out half.
    fn of(&self, chosen: &[bool]) -> Extremes {
        let (mut score, mut count) = (0.0, 0_usize);
        for (chosen, own) in chosen.iter().zip(&self.scores) {
            if *chosen {
                score += own;
                count += 1;
            }
        }
        let beyond = allowed(chosen.len() - count);
        let threshold = (0..chosen.len())
            .filter(|row| !chosen[*row])
            .nth(beyond - 1);
        let beyond = threshold.map_or(0, |threshold| {
            let farther = |row: &usize| self.distances[*row] > self.distances[threshold];
            (0..threshold)
                .filter(|row| chosen[*row] && farther(row))
                .count()
        });
        Extremes {
            score,
            beyond: beyond as f64 / count as f64,
        }
    }
}

/// Which of `held_out` distances, from the largest, is the threshold.
fn allowed(held_out: usize) -> usize {
    ((BEYOND * (held_out + 1) as f64).round() as usize).max(1)
}

fn less<'a>(row: &'a [f32], mean: &'a [f32]) -> impl Iterator<Item = f32> + 'a {
    row.iter().zip(mean).map(|(value, mean)| value - mean)
}

fn half_norm(row: &[f32]) -> f32 {
    row.iter().map(|value| value * value).sum::<f32>() / 2.0
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};
    use statrs::distribution::{DiscreteCDF, Hypergeometric};

    use super::*;

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
            let mut random = random(seed, *at);
            let fitted = OutlierShare::fit(vectors(&normal(baseline, 1.0, &mut random)));
            let options = TestOptions {
                divisions: 199,
                seed: *at,
                ..TestOptions::default()
            };
            let answer = fitted
                .test(vectors(&window(&mut random)), &options)
                .unwrap();
            answer.finding().unwrap().p_value <= 0.05
        });
        alarms.count() as f64 / count as f64
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
        let mut random = random(4, 0);
        let fitted = OutlierShare::fit(vectors(&normal(600, 1.0, &mut random)));
        let rows = normal(100, 2.0, &mut random);
        for (row, found) in rows.chunks_exact(DIM).zip(fitted.distances(&rows)) {
            let mut squares: Vec<f64> = (fitted.sample.chunks_exact(DIM))
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
    fn the_share_beyond_is_hypergeometric_under_divisions() {
        // That `e` rows of the window or more are beyond the r-th largest of the held-out: of the r + e - 1 largest of all,
        // at least e are of the window.
        let (held_out, window) = (250, 200);
        let distances: Vec<f32> = (0..450).map(|at| at as f32).collect();
        let ranks = Ranks::new(&distances[..held_out], &distances[held_out..]);
        let r = allowed(held_out) as u64;
        assert_eq!(r, 3);
        let counts: Vec<u64> = (0..20_000)
            .map(|division| {
                let mut chosen = vec![false; 450];
                for row in rand::seq::index::sample(&mut random(5, division), 450, window) {
                    chosen[row] = true;
                }
                (ranks.of(&chosen).beyond * window as f64).round() as u64
            })
            .collect();
        for e in 1..10 {
            let exact = Hypergeometric::new(450, window as u64, r + e - 1)
                .unwrap()
                .sf(e - 1);
            let found = counts.iter().filter(|count| **count >= e).count() as f64 / 20_000.0;
            assert!((found - exact).abs() < 0.012, "{e}: {found} is not {exact}");
        }
        let all = ranks.of(&ranks.window);
        assert_eq!(all.beyond, 1.0);
    }

    #[test]
    fn odd_rows_have_an_answer() {
        let mut random: ChaCha8Rng = random(6, 0);
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
            let fitted = OutlierShare::fit(vectors(baseline));
            for (window, block) in windows
                .iter()
                .flat_map(|window| [(window, 1), (window, 10)])
            {
                let options = TestOptions {
                    block,
                    ..TestOptions::default()
                };
                let answer = fitted.test(vectors(window), &options).unwrap();
                if let Some(finding) = answer.finding() {
                    let Finding {
                        value,
                        expected,
                        effect,
                        p_value,
                        detectable,
                    } = *finding;
                    assert!(
                        [value, expected, effect, detectable]
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
        let fitted = OutlierShare::fit(vectors(&[0.5; 60 * DIM]));
        let answer = fitted
            .test(vectors(&[0.5; 30 * DIM]), &TestOptions::default())
            .unwrap();
        assert_eq!(answer.finding().unwrap().p_value, 1.0);
    }
}
