//! The two-sample permutation test.
//!
//! If baseline and window come from one distribution, every way to divide their rows among the two is equally likely. A
//! statistic of the means needs, for each division, only the sum of the rows that fall to the window, so the rows are added
//! up in blocks first and whole blocks change sides: equal blocks of exchangeable rows are exchangeable, the test stays exact,
//! and a window of 1,000 rows costs what one of 50 does.
//!
//! Rows that depend on their neighbours are exchangeable in blocks longer than the dependence. The blocks then keep the rows'
//! order, and twice their length is left out between two of them, so that what is left of the dependence does not reach
//! the next.

use std::ops::Range;

use driftline_core::{Error, ErrorKind, Result};
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatMut, MatRef, Par};
use pulp::Arch;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

use crate::{Answer, Finding, TestOptions, Vectors};

/// Blocks of independent rows that a window is cut into at most, about.
const WINDOW_BLOCKS: usize = 50;

/// Blocks of dependent rows that each side needs at least.
const FEWEST_BLOCKS: usize = 5;

/// Blocks left out between two blocks of dependent rows.
pub(crate) const GAP: usize = 2;

/// Divisions that a thread takes at once.
const DIVISIONS_AT_ONCE: usize = 64;

/// Blocks that a thread adds up at least.
const BLOCKS_AT_ONCE: usize = 32;

/// Values of a sum that stay in registers while blocks are added to it.
const LANES: usize = 16;

/// Blocks that are multiplied at once.
const PRODUCT_ROWS: usize = 64;

/// The normal quantile of 0.9, the power that [`Finding::detectable`] is about.
const POWER_QUANTILE: f64 = 1.281_551_565_544_600_5;

/// A statistic beside what it is under each division.
#[derive(Debug, Clone, PartialEq)]
pub struct Null {
    value: f64,
    /// In ascending order.
    by_chance: Vec<f64>,
}

impl Null {
    /// The statistic of the window, and that of at least one division; a large statistic speaks for drift.
    pub fn new(value: f64, mut by_chance: Vec<f64>) -> Self {
        by_chance.sort_by(f64::total_cmp);
        Self { value, by_chance }
    }

    /// The statistic of the window.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The share of divisions that are at least as far as the window, which counts as one of them:
    /// `(1 + #{chance >= value}) / (count + 1)`, above 0 and at most 1.
    ///
    /// Under no drift it is at most `a` in a share `a` of windows, for every size of window and baseline (Phipson and
    /// Smyth 2010).
    pub fn p_value(&self) -> f64 {
        let below = self
            .by_chance
            .partition_point(|chance| *chance < self.value);
        (1 + self.by_chance.len() - below) as f64 / (self.by_chance.len() + 1) as f64
    }

    /// The mean of the divisions: what the statistic is without any drift at this size.
    pub fn expected(&self) -> f64 {
        self.by_chance.iter().sum::<f64>() / self.by_chance.len() as f64
    }

    /// The value that a share `alpha` of the divisions reaches.
    pub fn critical(&self, alpha: f64) -> f64 {
        let last = self.by_chance.len().saturating_sub(1);
        let at = ((1.0 - alpha) * self.by_chance.len() as f64) as usize;
        self.by_chance
            .get(at.min(last))
            .copied()
            .unwrap_or(f64::NAN)
    }

    fn variance(&self) -> f64 {
        let mean = self.expected();
        let squares = self.by_chance.iter().map(|chance| (chance - mean).powi(2));
        squares.sum::<f64>() / self.by_chance.len() as f64
    }

    /// How much drift must add to the expected value to be seen with power 0.9, where it only moves the statistic.
    pub fn detectable_shift(&self, alpha: f64) -> f64 {
        let above = self.critical(alpha) - self.expected();
        (above + POWER_QUANTILE * self.variance().sqrt()).max(0.0)
    }

    /// As [`detectable_shift`](Self::detectable_shift) for a squared distance of means, whose spread grows with the drift: a
    /// noncentral chi-squared sum with mean `e + s` and variance `v (1 + 2 s / e)` for a shift `s`.
    pub fn detectable_square(&self, alpha: f64) -> f64 {
        let (mean, variance) = (self.expected(), self.variance());
        let above = (self.critical(alpha) - mean).max(0.0);
        if mean <= 0.0 {
            return above;
        }
        // above + z sqrt(v (1 + 2 s / e)) = s, solved for s.
        let half = above + POWER_QUANTILE.powi(2) * variance / mean;
        half + (half * half - above * above + POWER_QUANTILE.powi(2) * variance).sqrt()
    }

    /// A finding of which drift adds to the value what chance does not.
    pub fn finding(&self, alpha: f64) -> Finding {
        Finding {
            value: self.value,
            expected: self.expected(),
            effect: (self.value - self.expected()).max(0.0),
            p_value: self.p_value(),
            detectable: self.detectable_shift(alpha),
        }
    }

    /// A finding of a squared distance of means, told as the distance.
    pub fn finding_of_square(&self, alpha: f64) -> Finding {
        Finding {
            value: self.value.max(0.0).sqrt(),
            expected: self.expected().max(0.0).sqrt(),
            effect: (self.value - self.expected()).max(0.0).sqrt(),
            p_value: self.p_value(),
            detectable: self.detectable_square(alpha).sqrt(),
        }
    }
}

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
    /// Cuts the rows of both sides into equal blocks.
    ///
    /// # Errors
    /// The answer that there are too few rows.
    pub(crate) fn cut(
        baseline: Vectors<'_>,
        window: Vectors<'_>,
        options: &TestOptions,
    ) -> std::result::Result<Self, Answer> {
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
            if let Some(side) = [window, baseline].iter().find(|side| side.rows() < needed) {
                return Err(Answer::NotEnoughRows {
                    rows: side.rows(),
                    needed,
                });
            }
        }
        if let Some(answer) = too_few(baseline.rows(), window.rows(), options.alpha) {
            return Err(answer);
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

    /// `n m / (n + m)²`: by how much of `Δ Δᵀ` the covariance about the common mean is above that within the two sides.
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

    /// A statistic of the difference of the means (window minus baseline), and what it is under each division.
    pub(crate) fn null(&self, statistic: impl Fn(&[f64]) -> f64 + Sync) -> Null {
        self.null_of_sums(|sum| {
            self.to_difference(sum);
            statistic(sum)
        })
    }

    /// A statistic of the sum of the window's rows, and what it is under each division.
    pub(crate) fn null_of_sums(&self, statistic: impl Fn(&mut [f64]) -> f64 + Sync) -> Null {
        let (tiles, simd) = (self.tiles(), Arch::new());
        let divisions = self.options.divisions;
        let at_once = |first: usize| {
            let range = first..divisions.min(first + DIVISIONS_AT_ONCE);
            let sums = vec![0.0; range.len() * self.dim];
            let drawn = self.drawn(range);
            let (drawn, tiles, statistic) = (&drawn, &tiles, &statistic);
            simd.dispatch(
                #[inline(always)]
                move || {
                    let mut sums = sums;
                    add_drawn(tiles, self.dim, drawn.chunks_exact(self.few()), &mut sums);
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
        let by_chance = (0..divisions)
            .into_par_iter()
            .step_by(DIVISIONS_AT_ONCE)
            .flat_map_iter(at_once);
        let by_chance = by_chance.collect();
        let mut sum = vec![0.0; self.dim];
        self.sum_of(self.baseline..self.baseline + self.window, &mut sum);
        Null::new(statistic(&mut sum), by_chance)
    }

    /// Number of blocks of the smaller side.
    fn few(&self) -> usize {
        self.baseline.min(self.window)
    }

    /// The blocks that fall to the smaller side in each of some divisions, `[divisions, few]`.
    fn drawn(&self, divisions: Range<usize>) -> Vec<usize> {
        let (all, few) = (self.baseline + self.window, self.few());
        let mut drawn = Vec::with_capacity(divisions.len() * few);
        for division in divisions {
            let mut random = random(self.options.seed, division as u64);
            drawn.extend(rand::seq::index::sample(&mut random, all, few).into_vec());
        }
        drawn
    }

    /// The sums cut into columns of [`LANES`] values, f64 `[columns, blocks, LANES]` with zeros after the last value: a column of
    /// all blocks stays in the cache of a core while many divisions draw from it.
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
    pub(crate) fn sides(&self, window: &[f64]) -> impl Iterator<Item = (f64, f64)> + Clone {
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

/// The generator of one division: the same on any number of threads.
pub(crate) fn random(seed: u64, division: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(division);
    random
}

#[inline(always)]
fn add(sum: &mut [f64], more: &[f64]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

/// For each division the sum of the blocks that it drew, into f64 `[divisions, dim]`.
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
fn block_sums(side: Vectors<'_>, rows: usize, stride: usize, shuffled: Option<u64>) -> Vec<f64> {
    let (dim, simd) = (side.dim(), Arch::new());
    let mut order: Vec<usize> = (0..side.rows()).collect();
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
                        for (sum, value) in sum.iter_mut().zip(side.row(*row)) {
                            *sum += f64::from(*value);
                        }
                    }
                },
            );
        });
    sums
}

/// The rows of a window that a test of independent rows may look at: all, or one of each block and the gap after it.
pub(crate) fn independent(rows: Vectors<'_>, options: &TestOptions) -> Vec<f32> {
    let rows = rows.iter().step_by(stride(options));
    rows.flatten().copied().collect()
}

/// Rows from the start of a block to that of the next.
fn stride(options: &TestOptions) -> usize {
    match options.block {
        0 | 1 => 1,
        // A block may be longer than any rows.
        block => block.saturating_mul(1 + GAP),
    }
}

/// The answer that there are too few rows, where they can be divided in fewer ways than `1 / alpha`.
pub(crate) fn too_few(baseline: usize, window: usize, alpha: f64) -> Option<Answer> {
    let (all, few) = (baseline + window, baseline.min(window));
    let ways = (0..few).map(|taken| (all - taken) as f64 / (taken + 1) as f64);
    let (rows, needed) = if few == 0 {
        (0, 1)
    } else {
        (all, (1.0 / alpha).ceil() as usize)
    };
    (few == 0 || ways.product::<f64>() < 1.0 / alpha)
        .then_some(Answer::NotEnoughRows { rows, needed })
}

/// How much drift must add to a statistic with this standard deviation to be seen with power 0.9, where it is about normal.
pub(crate) fn detectable_shift(deviation: f64, alpha: f64) -> Result<f64> {
    let normal = Normal::new(0.0, 1.0).map_err(|cause| {
        Error::new(
            ErrorKind::Internal,
            "test a window",
            "no normal distribution",
        )
        .because(cause)
    })?;
    Ok((normal.inverse_cdf(1.0 - alpha) + POWER_QUANTILE).max(0.0) * deviation)
}

/// That a level is one.
pub(crate) fn check(options: &TestOptions) -> Result<()> {
    if options.alpha > 0.0 && options.alpha < 1.0 && options.divisions > 0 {
        return Ok(());
    }
    let message = format!(
        "a level of {} with {} divisions",
        options.alpha, options.divisions
    );
    Err(
        Error::new(ErrorKind::InvalidConfig, "test a window", message)
            .remedy("choose a level above 0 and below 1, and at least 1 division"),
    )
}
