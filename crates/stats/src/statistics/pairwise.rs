//! Sums of a function of the distance over all pairs of rows, for the window and for each permutation, in one pass.
//!
//! The matrix of the pairs is made tile by tile and never as a whole. Of a tile, a permutation takes the few places where the
//! rows and the columns that it drew cross; they are added in f64 while the tile is in the cache. Symmetry halves the tiles.

use std::ops::Range;

use gemm::{Parallelism, gemm};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::Vectors;
use crate::permutation::PooledRows;

/// Rows and columns of a tile: places in it are a byte.
const TILE: usize = 256;

/// Tiles that one task adds up.
const TASK: usize = 8;

/// Squared distances below this share of the squared lengths are computed again, from the differences.
const CLOSE: f64 = 1e-4;

/// Rows whose distances [`median_distance`] looks at.
const SUBSAMPLE: usize = 512;

/// Sums over ordered pairs of different rows: within the baseline, between baseline and window, within the window.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Sums {
    pub(crate) baseline: f64,
    pub(crate) between: f64,
    pub(crate) window: f64,
}

/// Rows in f64 about their mean, which keeps the distances accurate, and their squared lengths.
struct Points {
    dim: usize,
    values: Vec<f64>,
    squares: Vec<f64>,
}

impl Points {
    fn new(rows: &[f32], dim: usize) -> Self {
        let mut mean = vec![0.0; dim];
        for row in rows.chunks_exact(dim) {
            for (mean, value) in mean.iter_mut().zip(row) {
                *mean += f64::from(*value);
            }
        }
        let n = (rows.len() / dim).max(1) as f64;
        mean.iter_mut().for_each(|mean| *mean /= n);
        let mut values = Vec::with_capacity(rows.len());
        for row in rows.chunks_exact(dim) {
            values.extend(row.iter().zip(&mean).map(|(x, mean)| f64::from(*x) - mean));
        }
        let squares = values
            .chunks_exact(dim)
            .map(|row| row.iter().map(|x| x * x).sum())
            .collect();
        Self {
            dim,
            values,
            squares,
        }
    }

    fn row(&self, at: usize) -> &[f64] {
        &self.values[at * self.dim..][..self.dim]
    }

    /// The squared distances of `rows` to `columns` as the first places of the rows of a tile.
    fn squared_distances(
        &self,
        rows: &Range<usize>,
        columns: &Range<usize>,
        tile: &mut [[f64; TILE]],
    ) {
        let (left, right) = (self.row_block(rows), self.row_block(columns));
        assert!(rows.len() <= tile.len() && columns.len() <= TILE);
        // SAFETY: `left` and `right` are dense and row-major, [rows, dim] and [columns, dim] read as its transpose; the tile
        // has room for [rows, columns] with a stride of TILE, which the assertion checks.
        unsafe {
            gemm(
                rows.len(),
                columns.len(),
                self.dim,
                tile.as_mut_ptr().cast::<f64>(),
                1,
                TILE as isize,
                false,
                left.as_ptr(),
                1,
                self.dim as isize,
                right.as_ptr(),
                self.dim as isize,
                1,
                0.0,
                -2.0,
                false,
                false,
                false,
                Parallelism::None,
            );
        }
        let squares = &self.squares[columns.clone()];
        for (row, tile) in rows.clone().zip(tile) {
            let square = self.squares[row];
            let mut close = false;
            for (value, other) in tile.iter_mut().zip(squares) {
                let both = square + other;
                *value += both;
                close |= *value < both * CLOSE;
            }
            if close {
                for ((value, other), column) in tile.iter_mut().zip(squares).zip(columns.clone()) {
                    if *value < (square + other) * CLOSE {
                        let pairs = self.row(row).iter().zip(self.row(column));
                        *value = pairs.map(|(x, y)| (x - y) * (x - y)).sum();
                    }
                }
            }
        }
    }

    fn row_block(&self, rows: &Range<usize>) -> &[f64] {
        &self.values[rows.start * self.dim..rows.end * self.dim]
    }
}

/// The rows that a permutation drew: their places in each tile.
struct Drawn {
    places: Vec<u8>,
    /// Where the places in each tile start, and the end.
    starts: Vec<usize>,
}

impl Drawn {
    fn new(drawn: &[bool], tiles: &[Range<usize>]) -> Self {
        let (mut places, mut starts) = (Vec::new(), vec![0]);
        for tile in tiles {
            let chosen = (0..=u8::MAX).zip(&drawn[tile.clone()]);
            places.extend(chosen.filter(|(_, drawn)| **drawn).map(|(place, _)| place));
            starts.push(places.len());
        }
        Self { places, starts }
    }

    fn in_tile(&self, at: usize) -> &[u8] {
        &self.places[self.starts[at]..self.starts[at + 1]]
    }
}

/// What is added up over tiles.
#[derive(Clone)]
struct PairSums {
    whole: Sums,
    /// For each permutation, over ordered pairs of different rows: both drawn, and the first one drawn.
    drawn: Vec<(f64, f64)>,
}

impl PairSums {
    fn new(permutations: usize) -> Self {
        Self {
            whole: Sums::default(),
            drawn: vec![(0.0, 0.0); permutations],
        }
    }

    fn add(mut self, other: &Self) -> Self {
        self.whole.baseline += other.whole.baseline;
        self.whole.between += other.whole.between;
        self.whole.window += other.whole.window;
        for (mine, theirs) in self.drawn.iter_mut().zip(&other.drawn) {
            mine.0 += theirs.0;
            mine.1 += theirs.1;
        }
        self
    }
}

/// The sums over the pairs of the window and of each permutation. `function` turns squared distances into what is summed.
pub(crate) fn pair_sums(
    pooled: &PooledRows,
    function: impl Fn(&mut [f64]) + Sync,
) -> (Sums, Vec<Sums>) {
    let points = Points::new(pooled.rows(), pooled.dim());
    // No tile has rows of baseline and window.
    let baseline = pooled.baseline();
    let all = baseline + pooled.window();
    let tiles: Vec<Range<usize>> = cut(0..baseline).chain(cut(baseline..all)).collect();
    let permutations: Vec<Drawn> = (0..pooled.permutations())
        .into_par_iter()
        .map(|permutation| Drawn::new(&pooled.drawn(permutation), &tiles))
        .collect();
    let pairs: Vec<(usize, usize)> = (0..tiles.len())
        .flat_map(|row| (row..tiles.len()).map(move |column| (row, column)))
        .collect();
    let parts: Vec<PairSums> = pairs
        .par_chunks(TASK)
        .map_init(
            || vec![[0.0; TILE]; TILE],
            |tile, pairs| {
                let mut parts = PairSums::new(permutations.len());
                for (row, column) in pairs {
                    let (rows, columns) = (&tiles[*row], &tiles[*column]);
                    points.squared_distances(rows, columns, tile);
                    for values in &mut tile[..rows.len()] {
                        function(&mut values[..columns.len()]);
                    }
                    let in_baseline = (rows.start < baseline, columns.start < baseline);
                    add_tile(
                        tile,
                        (*row, rows.len()),
                        (*column, columns.len()),
                        in_baseline,
                        &permutations,
                        &mut parts,
                    );
                }
                parts
            },
        )
        .collect();
    let parts = parts
        .iter()
        .fold(PairSums::new(permutations.len()), |sum, part| sum.add(part));
    let whole = parts.whole;
    let total = whole.baseline + 2.0 * whole.between + whole.window;
    let window_is_drawn = pooled.smaller() == pooled.window();
    let permuted = parts.drawn.iter().map(|(both, first)| {
        let (drawn, others) = (*both, total - 2.0 * first + both);
        let (baseline, window) = if window_is_drawn {
            (others, drawn)
        } else {
            (drawn, others)
        };
        Sums {
            baseline,
            between: first - both,
            window,
        }
    });
    (whole, permuted.collect())
}

fn cut(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let end = rows.end;
    rows.step_by(TILE)
        .map(move |start| start..end.min(start + TILE))
}

/// Adds a tile, and its mirror image if it is off the diagonal.
fn add_tile(
    tile: &mut [[f64; TILE]],
    (row, rows): (usize, usize),
    (column, columns): (usize, usize),
    in_baseline: (bool, bool),
    permutations: &[Drawn],
    parts: &mut PairSums,
) {
    let mirrored = row != column;
    if !mirrored {
        for (place, values) in tile[..rows].iter_mut().enumerate() {
            values[place] = 0.0;
        }
    }
    let (mut row_sums, mut column_sums) = ([0.0; TILE], [0.0; TILE]);
    for (values, row_sum) in tile[..rows].iter().zip(&mut row_sums) {
        for (value, column_sum) in values[..columns].iter().zip(&mut column_sums) {
            *column_sum += value;
        }
        *row_sum = values[..columns].iter().sum();
    }
    let sum: f64 = row_sums[..rows].iter().sum();
    let times = if mirrored { 2.0 } else { 1.0 };
    match in_baseline {
        (true, true) => parts.whole.baseline += times * sum,
        (false, false) => parts.whole.window += times * sum,
        _ => parts.whole.between += sum,
    }
    for (permutation, (both, first)) in permutations.iter().zip(&mut parts.drawn) {
        let (down, across) = (permutation.in_tile(row), permutation.in_tile(column));
        *both += times * crossings(tile, down, across);
        *first += picked(&row_sums, down);
        if mirrored {
            *first += picked(&column_sums, across);
        }
    }
}

/// The sum of the values where the rows `down` and the columns `across` cross.
fn crossings(tile: &[[f64; TILE]], down: &[u8], across: &[u8]) -> f64 {
    // Four sums at once do not wait for each other.
    let mut sums = [0.0; 4];
    let mut fours = down.chunks_exact(4);
    for four in &mut fours {
        let rows = [0, 1, 2, 3].map(|at| &tile[usize::from(four[at])]);
        for column in across {
            for (sum, row) in sums.iter_mut().zip(rows) {
                *sum += row[usize::from(*column)];
            }
        }
    }
    let rest = fours.remainder().iter();
    let rest: f64 = rest
        .map(|row| picked(&tile[usize::from(*row)], across))
        .sum();
    sums.iter().sum::<f64>() + rest
}

fn picked(values: &[f64; TILE], places: &[u8]) -> f64 {
    let values = places.iter().map(|place| values[usize::from(*place)]);
    values.sum()
}

/// The median distance of two different rows, of a subsample of many; their mean if most rows are equal, and 1 if all are.
pub(crate) fn median_distance(rows: Vectors<'_>, seed: u64) -> f64 {
    let subsample: Vec<f32> = if rows.rows() > SUBSAMPLE {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let chosen = rand::seq::index::sample(&mut random, rows.rows(), SUBSAMPLE);
        chosen
            .into_iter()
            .flat_map(|row| rows.row(row))
            .copied()
            .collect()
    } else {
        rows.values().to_vec()
    };
    let points = Points::new(&subsample, rows.dim());
    let mut tile = vec![[0.0; TILE]; TILE];
    let mut distances = Vec::new();
    let tiles: Vec<Range<usize>> = cut(0..points.squares.len()).collect();
    for (at, rows) in tiles.iter().enumerate() {
        for columns in &tiles[at..] {
            points.squared_distances(rows, columns, &mut tile);
            for (row, values) in rows.clone().zip(&tile) {
                let later = columns
                    .clone()
                    .zip(values)
                    .filter(|(column, _)| *column > row);
                distances.extend(later.map(|(_, square)| square.sqrt()));
            }
        }
    }
    let mean = distances.iter().sum::<f64>() / distances.len().max(1) as f64;
    [median(&mut distances), mean]
        .into_iter()
        .find(|distance| *distance > 0.0)
        .unwrap_or(1.0)
}

/// The middle value, or the mean of the middle two; 0 of none.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0.0;
    }
    let even = values.len().is_multiple_of(2);
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if even {
        f64::midpoint(lower, *upper)
    } else {
        *upper
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestOptions;

    #[test]
    fn divisions_are_those_of_all_pairs_one_by_one() {
        // Two tiles and a bit in the one, then in the other.
        for (baseline, window) in [(530, 40), (40, 530), (7, 7)] {
            let value = |at: usize| ((at * 7919) % 1009) as f32 / 100.0;
            let rows: Vec<f32> = (0..2 * (baseline + window)).map(value).collect();
            let of = |rows| Vectors::new("rows", rows, 2).unwrap();
            let options = TestOptions {
                permutations: 3,
                ..TestOptions::default()
            };
            let (left, right) = rows.split_at(2 * baseline);
            let pooled = PooledRows::new(of(left), of(right), 1, &options).unwrap();
            let roots = |squares: &mut [f64]| squares.iter_mut().for_each(|d| *d = d.sqrt());
            let (observed, permuted) = pair_sums(&pooled, roots);
            let slow = |in_window: &dyn Fn(usize) -> bool| {
                let mut sums = Sums::default();
                for (i, x) in rows.chunks_exact(2).enumerate() {
                    for (j, y) in rows.chunks_exact(2).enumerate() {
                        let apart = |at: usize| f64::from(x[at]) - f64::from(y[at]);
                        let distance = apart(0).hypot(apart(1));
                        match (in_window(i), in_window(j)) {
                            (false, false) => sums.baseline += distance,
                            (true, true) => sums.window += distance,
                            (true, false) => sums.between += distance,
                            (false, true) => {}
                        }
                    }
                }
                sums
            };
            let near = |a: Sums, b: Sums| {
                let pairs = [
                    (a.baseline, b.baseline),
                    (a.between, b.between),
                    (a.window, b.window),
                ];
                assert!(
                    pairs.iter().all(|(a, b)| (a - b).abs() < 1e-5),
                    "{a:?} {b:?}"
                );
            };
            near(observed, slow(&|row| row >= baseline));
            for (permutation, sums) in permuted.into_iter().enumerate() {
                let drawn = pooled.drawn(permutation as u64);
                let window_is_drawn = window <= baseline;
                near(sums, slow(&|row| drawn[row] == window_is_drawn));
            }
        }
    }

    #[test]
    fn the_median_of_many_rows_is_about_that_of_all_and_of_equal_rows_is_not_0() {
        let of = |rows| Vectors::new("rows", rows, 1).unwrap();
        let ramp: Vec<f32> = (0..3_000).map(|value| value as f32).collect();
        // Two uniform numbers are 1 - sqrt(1/2) apart in the median.
        let median = median_distance(of(&ramp), 1);
        assert!((median / 3_000.0 - 0.293).abs() < 0.02, "{median}");
        assert_eq!(median_distance(of(&[3.0; 9]), 1), 1.0);
        assert_eq!(median_distance(of(&[3.0, 3.0, 3.0, 3.0, 7.0]), 1), 1.6);
        assert_eq!(median_distance(of(&[]), 1), 1.0);
    }
}
