//! The two-sample permutation test of a statistic of the means.
//!
//! Without drift, every permutation of the pooled rows of baseline and window is equally likely. A statistic of the means needs
//! only the sum of the window's rows in each permutation, so the rows are summed in blocks first and whole blocks are permuted:
//! equal blocks of exchangeable rows are exchangeable, the test stays exact, and a window of 1,000 rows costs what one of 50
//! does.
//!
//! Rows that depend on their neighbours are exchangeable in blocks longer than the dependence. The blocks then keep the rows'
//! order, and twice their length is left out between two of them, so that what is left of the dependence does not reach
//! the next.

use std::ops::Range;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use pulp::Arch;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::dependence::stride;
use super::enough_rows::not_enough_rows;
use super::generator::generator;
use super::null_distribution::NullDistribution;
use crate::{TestOptions, TestOutcome, Vectors};

/// Blocks of independent rows that a window is cut into at most, about.
const WINDOW_BLOCKS: usize = 50;

/// Blocks of dependent rows that baseline and window each need at least.
const FEWEST_BLOCKS: usize = 5;

/// Permutations that a thread takes at once.
const PERMUTATIONS_AT_ONCE: usize = 64;

/// Blocks that a thread adds up at least.
const BLOCKS_AT_ONCE: usize = 32;

/// Values of a sum that stay in registers while blocks are added to it.
const LANES: usize = 16;

/// Blocks that are multiplied at once.
const PRODUCT_ROWS: usize = 64;

/// Baseline and window as sums of blocks of rows.
#[derive(Debug)]
pub(crate) struct Blocks {
    dim: usize,
    /// f64 `[blocks, dim]`: those of the baseline, then those of the window.
    sums: Vec<f64>,
    total: Vec<f64>,
    baseline: usize,
    window: usize,
    rows: usize,
    options: TestOptions,
}

impl Blocks {
    /// Cuts the rows of baseline and window into equal blocks.
    ///
    /// # Errors
    /// `NotEnoughRows`.
    pub(crate) fn new(
        baseline: Vectors<'_>,
        window: Vectors<'_>,
        options: &TestOptions,
    ) -> Result<Self, TestOutcome> {
        let dependent = options.block > 1;
        let rows = if dependent {
            options.block
        } else {
            let smaller = window.rows().min(baseline.rows());
            (smaller / WINDOW_BLOCKS).max(1)
        };
        let stride = if dependent { stride(options) } else { rows };
        if dependent {
            let needed = stride.saturating_mul(FEWEST_BLOCKS);
            if let Some(sample) = [window, baseline]
                .iter()
                .find(|sample| sample.rows() < needed)
            {
                return Err(TestOutcome::NotEnoughRows {
                    rows: sample.rows(),
                    needed,
                });
            }
        }
        if let Some(outcome) = not_enough_rows(baseline.rows(), window.rows(), options.alpha) {
            return Err(outcome);
        }
        // Without dependence any order is as good; a shuffled one is safe from rows that were sorted.
        let shuffled = (!dependent && rows > 1).then_some(options.seed);
        let dim = baseline.dim();
        let mut sums = block_sums(baseline, rows, stride, shuffled);
        let baseline = sums.len() / dim;
        sums.extend(block_sums(window, rows, stride, shuffled));
        let mut total = vec![0.0; dim];
        for block in sums.chunks_exact(dim) {
            add(&mut total, block);
        }
        Ok(Self {
            dim,
            total,
            baseline,
            window: sums.len() / dim - baseline,
            sums,
            rows,
            options: *options,
        })
    }

    /// `n m / (n + m)²`: by how much of `Δ Δᵀ` the covariance about the common mean is above that within baseline and window.
    pub(crate) fn between(&self) -> f64 {
        let (baseline, window) = (self.baseline as f64, self.window as f64);
        baseline * window / (baseline + window).powi(2)
    }

    /// The same blocks in other coordinates: each row times `matrix`, `[dim, dim]`.
    pub(crate) fn times(mut self, matrix: &Mat<f64>) -> Self {
        let dim = self.dim;
        let product = |rows: &[f64]| -> Vec<f64> {
            let mut out = vec![0.0; rows.len()];
            matmul(
                MatMut::from_row_major_slice_mut(&mut out, rows.len() / dim, dim),
                Accum::Replace,
                MatRef::from_row_major_slice(rows, rows.len() / dim, dim),
                matrix,
                1.0,
                Par::Seq,
            );
            out
        };
        let parts: Vec<Vec<f64>> = self
            .sums
            .par_chunks(PRODUCT_ROWS * dim)
            .map(product)
            .collect();
        self.sums = parts.concat();
        self.total = product(&self.total);
        self
    }

    /// Mean of the window minus mean of the baseline, as they are.
    pub(crate) fn difference(&self) -> Vec<f64> {
        let mut difference = vec![0.0; self.dim];
        self.sum_of(self.baseline..self.baseline + self.window, &mut difference);
        self.to_difference(&mut difference);
        difference
    }

    /// The null distribution of a statistic of the difference of the means, window minus baseline.
    pub(crate) fn null_distribution(
        &self,
        statistic: impl Fn(&[f64]) -> f64 + Sync,
    ) -> NullDistribution {
        self.null_distribution_of_sums(|sum| {
            self.to_difference(sum);
            statistic(sum)
        })
    }

    /// The null distribution of a statistic of the sum of the window's rows.
    pub(crate) fn null_distribution_of_sums(
        &self,
        statistic: impl Fn(&mut [f64]) -> f64 + Sync,
    ) -> NullDistribution {
        let (tiles, simd) = (self.tiles(), Arch::new());
        let permutations = self.options.permutations;
        let at_once = |first: usize| {
            let range = first..permutations.min(first + PERMUTATIONS_AT_ONCE);
            let sums = vec![0.0; range.len() * self.dim];
            let drawn = self.drawn(range);
            let (drawn, tiles, statistic) = (&drawn, &tiles, &statistic);
            simd.dispatch(
                #[inline(always)]
                move || {
                    let mut sums = sums;
                    add_drawn(
                        tiles,
                        self.dim,
                        drawn.chunks_exact(self.smaller()),
                        &mut sums,
                    );
                    let of_division = |sum: &mut [f64]| {
                        if self.window > self.baseline {
                            for (sum, total) in sum.iter_mut().zip(&self.total) {
                                *sum = total - *sum;
                            }
                        }
                        statistic(sum)
                    };
                    let sums = sums.chunks_exact_mut(self.dim);
                    sums.map(of_division).collect::<Vec<f64>>()
                },
            )
        };
        let permuted = (0..permutations)
            .into_par_iter()
            .step_by(PERMUTATIONS_AT_ONCE)
            .flat_map_iter(at_once);
        let permuted = permuted.collect();
        let mut sum = vec![0.0; self.dim];
        self.sum_of(self.baseline..self.baseline + self.window, &mut sum);
        NullDistribution::new(statistic(&mut sum), permuted)
    }

    /// Number of blocks of the smaller of baseline and window.
    fn smaller(&self) -> usize {
        self.baseline.min(self.window)
    }

    /// The blocks of the smaller of baseline and window in each of some permutations, `[permutations, smaller]`.
    fn drawn(&self, permutations: Range<usize>) -> Vec<usize> {
        let (all, few) = (self.baseline + self.window, self.smaller());
        let mut drawn = Vec::with_capacity(permutations.len() * few);
        for permutation in permutations {
            let mut random = generator(self.options.seed, permutation as u64);
            drawn.extend(rand::seq::index::sample(&mut random, all, few).into_vec());
        }
        drawn
    }

    /// The sums cut into columns of [`LANES`] values, f64 `[columns, blocks, LANES]` with zeros after the last value: a column of
    /// all blocks stays in the cache of a core while many permutations draw from it.
    fn tiles(&self) -> Vec<Vec<[f64; LANES]>> {
        let blocks = self.baseline + self.window;
        let columns = 0..self.dim.div_ceil(LANES);
        let mut tiles: Vec<_> = columns.map(|_| vec![[0.0; LANES]; blocks]).collect();
        for (at, block) in self.sums.chunks_exact(self.dim).enumerate() {
            for (tile, values) in tiles.iter_mut().zip(block.chunks(LANES)) {
                tile[at][..values.len()].copy_from_slice(values);
            }
        }
        tiles
    }

    /// The sums of the rows of baseline and window where those of the window are `window`, component by component.
    pub(crate) fn split_sums(&self, window: &[f64]) -> impl Iterator<Item = (f64, f64)> + Clone {
        let both = self.total.iter().zip(window);
        both.map(|(total, window)| (total - window, *window))
    }

    /// Number of rows of the baseline and of the window that are in a block.
    pub(crate) fn rows(&self) -> [usize; 2] {
        [self.baseline * self.rows, self.window * self.rows]
    }

    fn sum_of(&self, blocks: Range<usize>, sum: &mut [f64]) {
        sum.fill(0.0);
        for block in blocks {
            add(sum, &self.sums[block * self.dim..][..self.dim]);
        }
    }

    /// Makes the sum of the window's rows the mean of the window minus that of the baseline.
    #[inline(always)]
    fn to_difference(&self, sum: &mut [f64]) {
        let [baseline, window] = self.rows().map(|rows| rows as f64);
        for (sum, total) in sum.iter_mut().zip(&self.total) {
            *sum = *sum / window - (total - *sum) / baseline;
        }
    }
}

#[inline(always)]
fn add(sum: &mut [f64], more: &[f64]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

/// For each permutation the sum of the blocks that it drew, into f64 `[permutations, dim]`.
#[inline(always)]
fn add_drawn<'a>(
    tiles: &[Vec<[f64; LANES]>],
    dim: usize,
    drawn: impl Iterator<Item = &'a [usize]> + Clone,
    sums: &mut [f64],
) {
    for (tile, start) in tiles.iter().zip((0..dim).step_by(LANES)) {
        for (drawn, sum) in drawn.clone().zip(sums.chunks_exact_mut(dim)) {
            // A new array in each step, which stays in registers.
            let kept = drawn.iter().fold([0.0; LANES], |sum, block| {
                std::array::from_fn(|at| sum[at] + tile[*block][at])
            });
            let part = &mut sum[start..dim.min(start + LANES)];
            part.copy_from_slice(&kept[..part.len()]);
        }
    }
}

/// The sums of blocks of `rows` rows, one every `stride` rows.
fn block_sums(sample: Vectors<'_>, rows: usize, stride: usize, shuffled: Option<u64>) -> Vec<f64> {
    let (dim, simd) = (sample.dim(), Arch::new());
    let mut order: Vec<usize> = (0..sample.rows()).collect();
    if let Some(seed) = shuffled {
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    }
    let full = |block: &&[usize]| block.len() >= rows;
    let blocks: Vec<&[usize]> = order.chunks(stride).filter(full).collect();
    let mut sums = vec![0.0; blocks.len() * dim];
    sums.par_chunks_mut(dim)
        .zip(blocks)
        .with_min_len(BLOCKS_AT_ONCE)
        .for_each(|(sum, block)| {
            simd.dispatch(
                #[inline(always)]
                move || {
                    let sum = sum;
                    for row in &block[..rows] {
                        for (sum, value) in sum.iter_mut().zip(sample.row(*row)) {
                            *sum += f64::from(*value);
                        }
                    }
                },
            );
        });
    sums
}
