//! Sums of rows from which mean and covariance come, exactly mergeable.

use std::ops::Range;

use driftline_core::{Error, ErrorKind, Result};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef, Par, Side};
use serde::{Deserialize, Serialize};

use crate::Vectors;

/// Rows whose products are added at once: at 128-d they stay in the cache of a core.
const CHUNK: usize = 256;

/// Rows that one thread sums up.
const SHARE: usize = 512;

/// The sum over slices of `rows`, computed on all threads. The order of the additions depends on the number of rows alone, not
/// on that of the threads.
pub(crate) fn tree_sum<T: Send>(
    rows: Range<usize>,
    of_slice: &(impl Fn(Range<usize>) -> T + Sync),
    add: &(impl Fn(&mut T, &T) + Sync),
) -> T {
    if rows.len() <= SHARE {
        return of_slice(rows);
    }
    let middle = rows.start + (rows.len() / 2).next_multiple_of(SHARE);
    let (mut first, second) = rayon::join(
        || tree_sum(rows.start..middle, of_slice, add),
        || tree_sum(middle..rows.end, of_slice, add),
    );
    add(&mut first, &second);
    first
}

/// Count, sum of rows, sum of outer products, and the sums that Ledoit-Wolf shrinkage takes besides, all in f64.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    pub(crate) dim: usize,
    pub(crate) rows: u64,
    /// `[dim]`
    pub(crate) sum: Vec<f64>,
    /// Lower triangle of the sum of `x xᵀ`, row by row.
    pub(crate) products: Vec<f64>,
    /// Sum of `|x|² x`, `[dim]`.
    pub(crate) cubes: Vec<f64>,
    /// Sum of `|x|⁴`.
    pub(crate) fourth: f64,
}

impl Moments {
    /// Those of no rows.
    pub fn new(dim: usize) -> Self {
        Self {
            dim,
            rows: 0,
            sum: vec![0.0; dim],
            products: vec![0.0; dim * (dim + 1) / 2],
            cubes: vec![0.0; dim],
            fourth: 0.0,
        }
    }

    /// Those of `rows`, on all threads; their number changes nothing.
    pub fn of(rows: Vectors<'_>) -> Self {
        let of_slice = |range| Self::of_slice(rows.slice(range));
        tree_sum(0..rows.rows(), &of_slice, &Self::add)
    }

    /// Those of `rows`, on this thread.
    pub(crate) fn of_slice(rows: Vectors<'_>) -> Self {
        let dim = rows.dim();
        // A row is followed by 1 and its squared length, so that the products of all that hold every sum.
        let wide = dim + 2;
        let mut chunk = vec![0.0; CHUNK.min(rows.rows()) * wide];
        let mut products = Mat::<f64>::zeros(wide, wide);
        for values in rows.values().chunks(CHUNK * dim) {
            for (row, wide) in values.chunks_exact(dim).zip(chunk.chunks_exact_mut(wide)) {
                widen(row, wide);
            }
            let n = values.len() / dim;
            // Columns of a column-major matrix are the rows of `chunk`.
            let x = MatRef::from_column_major_slice(&chunk[..n * wide], wide, n);
            triangular::matmul(
                products.as_mut(),
                BlockStructure::TriangularLower,
                Accum::Add,
                x,
                BlockStructure::Rectangular,
                x.transpose(),
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
        }
        let column = |row: usize| (0..dim).map(|at| products[(row, at)]).collect();
        Self {
            dim,
            rows: rows.rows() as u64,
            sum: column(dim),
            products: lower(dim).map(|at| products[at]).collect(),
            cubes: column(dim + 1),
            fourth: products[(dim + 1, dim + 1)],
        }
    }

    /// Adds the rows of another.
    ///
    /// # Errors
    /// `InvalidData` for rows of another length.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        if self.dim != other.dim {
            let message = format!(
                "rows of {} values cannot be added to rows of {}",
                other.dim, self.dim
            );
            return Err(Error::new(
                ErrorKind::InvalidData,
                "merge profiles",
                message,
            ));
        }
        self.add(other);
        Ok(())
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.rows = self.rows.saturating_add(other.rows);
        self.fourth += other.fourth;
        for (mine, theirs) in [
            (&mut self.sum, &other.sum),
            (&mut self.products, &other.products),
            (&mut self.cubes, &other.cubes),
        ] {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs;
            }
        }
    }

    /// Lengths of everything in it, which those that were read from a file may have wrong.
    pub(crate) fn sizes(&self) -> [usize; 4] {
        let [sum, products, cubes] = [&self.sum, &self.products, &self.cubes].map(Vec::len);
        [self.dim, sum, products, cubes]
    }

    /// Rows summed.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Length of a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The mean row; zeros without rows.
    pub fn mean(&self) -> Vec<f64> {
        let n = (self.rows as f64).max(1.0);
        self.sum.iter().map(|sum| sum / n).collect()
    }

    /// The covariance matrix with divisor `n` (maximum likelihood), as scikit-learn's `empirical_covariance`.
    pub fn covariance(&self) -> Mat<f64> {
        let (n, mean) = ((self.rows as f64).max(1.0), self.mean());
        let mut covariance = Mat::zeros(self.dim, self.dim);
        for ((row, column), product) in lower(self.dim).zip(&self.products) {
            let value = product / n - mean[row] * mean[column];
            covariance[(row, column)] = value;
            covariance[(column, row)] = value;
        }
        covariance
    }

    /// The covariance pulled towards a multiple of the identity by the share that expects the least error, and that share
    /// (Ledoit and Wolf 2004, as scikit-learn's `ledoit_wolf`).
    pub fn ledoit_wolf(&self) -> (Mat<f64>, f64) {
        let mut covariance = self.covariance();
        let (n, d) = ((self.rows as f64).max(1.0), self.dim as f64);
        let trace: f64 = (0..self.dim).map(|i| covariance[(i, i)]).sum();
        let target = trace / d;
        let square = covariance.squared_norm_l2();
        let distance = square - d * target * target;
        let beta = (self.centred_fourth() / n - square) / n;
        let shrinkage = if distance > 0.0 {
            (beta / distance).clamp(0.0, 1.0)
        } else {
            // Already a multiple of the identity.
            0.0
        };
        for column in 0..self.dim {
            for row in 0..self.dim {
                covariance[(row, column)] *= 1.0 - shrinkage;
            }
            covariance[(column, column)] += shrinkage * target;
        }
        (covariance, shrinkage)
    }

    /// Sum of `|x - mean|⁴`.
    fn centred_fourth(&self) -> f64 {
        let (n, mean) = (self.rows as f64, self.mean());
        let dot = |a: &[f64]| -> f64 { a.iter().zip(&mean).map(|(a, m)| a * m).sum() };
        let square = dot(&mean);
        let (mut quadratic, mut squares) = (0.0, 0.0);
        for ((row, column), product) in lower(self.dim).zip(&self.products) {
            let twice = if row == column { 1.0 } else { 2.0 };
            quadratic += twice * product * mean[row] * mean[column];
            if row == column {
                squares += product;
            }
        }
        // |x - m|² = a + c - 2 m·x with a = |x|² and c = |m|², squared and summed.
        self.fourth + n * square * square + 4.0 * quadratic + 2.0 * square * squares
            - 4.0 * dot(&self.cubes)
            - 4.0 * square * dot(&self.sum)
    }
}

/// Writes `row`, 1 and the squared length of `row`, in f64.
fn widen(row: &[f32], wide: &mut [f64]) {
    // Several sums at once, which the processor adds side by side.
    const LANES: usize = 8;
    let mut squares = [0.0; LANES];
    let (values, last) = wide.split_at_mut(row.len());
    for (values, row) in values.chunks_mut(LANES).zip(row.chunks(LANES)) {
        for ((value, x), square) in values.iter_mut().zip(row).zip(&mut squares) {
            *value = f64::from(*x);
            *square += *value * *value;
        }
    }
    last.copy_from_slice(&[1.0, squares.iter().sum()]);
}

/// Row and column of each value of a lower triangle.
fn lower(dim: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..dim).flat_map(|row| (0..=row).map(move |column| (row, column)))
}

/// A matrix `L` with `L Lᵀ = inverse of the covariance`: rows times `L` have unit covariance. Directions without any spread
/// are left out.
pub(crate) fn whitening(covariance: &Mat<f64>) -> Result<Mat<f64>> {
    let dim = covariance.nrows();
    if let Ok(factor) = covariance.llt(Side::Lower) {
        let lower = factor.L();
        let diagonal = (0..dim).map(|i| lower[(i, i)]);
        let (least, most) = diagonal.fold((f64::INFINITY, 0.0_f64), |(least, most), value| {
            (least.min(value), most.max(value))
        });
        if least > most * SINGULAR.sqrt() {
            let mut inverse = Mat::identity(dim, dim);
            lower.solve_lower_triangular_in_place(inverse.as_mut());
            return Ok(inverse.transpose().to_owned());
        }
    }
    let failed = |cause: String| {
        let message = "the covariance has no eigenvalues";
        Error::new(ErrorKind::InvalidData, "compare rows", message).because(cause)
    };
    let eigen = covariance
        .self_adjoint_eigen(Side::Lower)
        .map_err(|cause| failed(format!("{cause:?}")))?;
    let values = eigen.S().column_vector();
    let largest = values.iter().copied().fold(0.0, f64::max);
    let least = largest * SINGULAR;
    let scale: Vec<f64> = values
        .iter()
        .map(|value| {
            if *value > least {
                value.sqrt().recip()
            } else {
                0.0
            }
        })
        .collect();
    Ok(Mat::from_fn(dim, dim, |row, column| {
        eigen.U()[(row, column)] * scale[column]
    }))
}

/// Eigenvalues below this share of the largest are rounding.
const SINGULAR: f64 = 1e-12;
