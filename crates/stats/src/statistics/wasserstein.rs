//! How far the rows of the window would have to be moved to become those of the baseline.

use driftline_core::Result;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::permutation::{PooledRows, generator};
use crate::{DriftTest, TestOptions, TestOutcome, Vectors};

/// Directions that the rows are looked at along.
const DIRECTIONS: usize = 64;

/// Directions that the rows are projected on at once.
const CHUNK: usize = 8;

/// Seed of the directions.
const SEED: u64 = 42;

/// Permutations that are added up side by side.
const LANES: usize = 32;

/// Sliced Wasserstein distance, tested by permutation: the mean over 64 fixed random directions of the Wasserstein-1 distance
/// of the rows along the direction, in standard deviations of the baseline along it.
///
/// Wasserstein-1 is the area between the two distribution functions. The rows are sorted once for all permutations.
///
/// | | |
/// | --- | --- |
/// | value | standard deviations, 0 upwards, above 0 without drift by as much as `expected` says; the unit of the rows along directions in which the baseline is constant |
/// | cost | `64 (m + n)` steps for each permutation, and as many products of `d` values in f64 |
/// | not for | a change of few components of many, which fades in random directions |
///
/// Rabin et al. 2012; along one direction it is `scipy.stats.wasserstein_distance`.
#[derive(Debug, Clone)]
pub struct SlicedWasserstein {
    dim: usize,
    rows: Vec<f32>,
    /// Unit vectors, f64 `[directions, dim]`.
    directions: Vec<f64>,
    /// What distances along each direction are divided by.
    spreads: Vec<f64>,
}

impl SlicedWasserstein {
    /// Keeps the baseline's rows and their spread along each direction.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        let mut random = generator(SEED, 0);
        let mut directions = Vec::with_capacity(DIRECTIONS * baseline.dim());
        for _ in 0..DIRECTIONS {
            let direction: Vec<f64> = (0..baseline.dim())
                .map(|_| StandardNormal.sample(&mut random))
                .collect();
            let length = direction.iter().map(|x| x * x).sum::<f64>().sqrt();
            directions.extend(direction.iter().map(|x| x / length));
        }
        Self::along(baseline, directions)
    }

    fn along(baseline: Vectors<'_>, directions: Vec<f64>) -> Self {
        let dim = baseline.dim();
        let along = project(baseline.values(), dim, &directions);
        Self {
            dim,
            rows: baseline.values().to_vec(),
            spreads: along.iter().map(|along| spread(along)).collect(),
            directions,
        }
    }
}

impl DriftTest for SlicedWasserstein {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.rows, self.dim);
        baseline.same_space(&window)?;
        let pooled = match PooledRows::new(baseline, window, 1, options) {
            Ok(pooled) => pooled,
            Err(outcome) => return Ok(outcome),
        };
        let along = project(pooled.rows(), self.dim, &self.directions);
        let sorted: Vec<Sorted> = along.par_iter().map(|along| Sorted::new(along)).collect();
        // The mean over the directions of each lane's distance.
        let distances = |drawn: &[[f64; LANES]], count: usize| {
            let mut means = [0.0; LANES];
            for (sorted, spread) in sorted.iter().zip(&self.spreads) {
                let weight = (spread * self.spreads.len() as f64).recip();
                for (mean, distance) in means.iter_mut().zip(sorted.distances(drawn, count)) {
                    *mean += distance * weight;
                }
            }
            means
        };
        let all = pooled.baseline() + pooled.window();
        let observed: Vec<[f64; LANES]> = (0..all)
            .map(|row| [f64::from(u8::from(row < pooled.baseline())); LANES])
            .collect();
        let value = distances(&observed, pooled.baseline())[0];
        let starts: Vec<u64> = (0..pooled.permutations()).step_by(LANES).collect();
        let permuted = starts.into_par_iter().flat_map_iter(|start| {
            let end = pooled.permutations().min(start + LANES as u64);
            let mut drawn = vec![[0.0; LANES]; all];
            for (lane, permutation) in (start..end).enumerate() {
                for (row, is_drawn) in drawn.iter_mut().zip(pooled.drawn(permutation)) {
                    row[lane] = f64::from(u8::from(is_drawn));
                }
            }
            let lanes = (end - start) as usize;
            distances(&drawn, pooled.smaller()).into_iter().take(lanes)
        });
        let null = pooled.null_distribution(value, permuted.collect());
        Ok(TestOutcome::Tested(null.result(options.alpha)))
    }
}

/// The pooled rows, sorted by their place along a direction.
struct Sorted {
    order: Vec<u32>,
    /// From each number to the next.
    gaps: Vec<f64>,
}

impl Sorted {
    fn new(numbers: &[f64]) -> Self {
        let mut sorted: Vec<(f64, u32)> = numbers.iter().copied().zip(0..).collect();
        sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        Self {
            order: sorted.iter().map(|(_, row)| *row).collect(),
            gaps: sorted.windows(2).map(|two| two[1].0 - two[0].0).collect(),
        }
    }

    /// In each lane the distance of the rows drawn, which are `count` and marked with 1, to the others.
    fn distances(&self, drawn: &[[f64; LANES]], count: usize) -> [f64; LANES] {
        let (all, drawn_rows) = (self.order.len() as f64, count as f64);
        let (mut below, mut area) = ([0.0; LANES], [0.0; LANES]);
        let mut rows = 0.0;
        for (row, gap) in self.order.iter().zip(&self.gaps) {
            rows += 1.0;
            // The distribution functions differ by `below - expected` times `all / (count (all - count))`.
            let expected = rows * drawn_rows / all;
            let lanes = below.iter_mut().zip(&mut area);
            for ((below, area), drawn) in lanes.zip(&drawn[*row as usize]) {
                *below += drawn;
                *area += (*below - expected).abs() * gap;
            }
        }
        area.map(|area| area * all / (drawn_rows * (all - drawn_rows)))
    }
}

/// The standard deviation, or 1 if it is 0.
fn spread(numbers: &[f64]) -> f64 {
    let n = numbers.len().max(1) as f64;
    let mean = numbers.iter().sum::<f64>() / n;
    let squares: f64 = numbers.iter().map(|x| (x - mean) * (x - mean)).sum();
    let spread = (squares / n).sqrt();
    if spread > 0.0 { spread } else { 1.0 }
}

/// The place of each row along each direction.
fn project(rows: &[f32], dim: usize, directions: &[f64]) -> Vec<Vec<f64>> {
    let n = rows.len() / dim;
    // From the first row on, so that components without spread are exactly 0.
    let apart = rows.chunks_exact(dim).flat_map(|row| {
        let pairs = row.iter().zip(rows);
        pairs.map(|(x, first)| f64::from(*x) - f64::from(*first))
    });
    let apart: Vec<f64> = apart.collect();
    let along = directions.par_chunks(CHUNK * dim).flat_map_iter(|chunk| {
        let mut along = vec![0.0; chunk.len() / dim * n];
        matmul(
            MatMut::from_row_major_slice_mut(&mut along, chunk.len() / dim, n),
            Accum::Replace,
            MatRef::from_row_major_slice(chunk, chunk.len() / dim, dim),
            MatRef::from_column_major_slice(&apart, dim, n),
            1.0,
            Par::Seq,
        );
        (0..chunk.len() / dim).map(move |at| along[at * n..][..n].to_vec())
    });
    along.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_along_given_directions_are_those_of_scipy() {
        let text = include_str!("../../tests/references/distributions.json");
        let cases: Vec<serde_json::Value> = serde_json::from_str(text).unwrap();
        for case in &cases {
            let numbers = |name: &str| -> Vec<f64> {
                let values = case[name].as_array().unwrap().iter();
                values.map(|value| value.as_f64().unwrap()).collect()
            };
            let rows = |name: &str| -> Vec<f32> {
                numbers(name).iter().map(|value| *value as f32).collect()
            };
            let (baseline, window) = (rows("baseline"), rows("window"));
            let dim = case["dim"].as_u64().unwrap() as usize;
            let [baseline, window] =
                [&baseline, &window].map(|rows| Vectors::new("rows", rows, dim).unwrap());
            let fitted = SlicedWasserstein::along(baseline, numbers("directions"));
            let outcome = fitted.test(window, &TestOptions::default()).unwrap();
            let value = outcome.result().unwrap().value;
            let expected = case["wasserstein"].as_f64().unwrap();
            assert!(
                (value - expected).abs() < 1e-10,
                "{value} instead of {expected}"
            );
        }
    }
}
