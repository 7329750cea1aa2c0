//! Rows to compare.

use std::ops::Range;

use driftline_core::{Error, ErrorKind, Result};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Rows of one space (embeddings, scores, image properties): f32 `[N, dim]`, row-major, every value finite.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    values: &'a [f32],
    dim: usize,
}

impl<'a> Vectors<'a> {
    /// Checks the shape and that every value is finite; `what` names the rows in an error.
    ///
    /// # Errors
    /// `InvalidData` for a length that is no multiple of `dim`, or naming the row that holds a NaN or an infinity.
    pub fn new(what: &str, values: &'a [f32], dim: usize) -> Result<Self> {
        let refuse = |message| Error::new(ErrorKind::InvalidData, "compare rows", message);
        if dim == 0 || !values.len().is_multiple_of(dim) {
            let message = format!("{} values of {what} are no rows of {dim}", values.len());
            return Err(refuse(message));
        }
        match first_not_finite(values) {
            Some(at) => Err(refuse(format!("{what} hold {}", values[at])).with("row", at / dim)),
            None => Ok(Self { values, dim }),
        }
    }

    /// Rows that were checked before.
    pub(crate) fn checked(values: &'a [f32], dim: usize) -> Self {
        Self { values, dim }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.dim
    }

    /// Values in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// All values, row after row.
    pub fn values(&self) -> &'a [f32] {
        self.values
    }

    /// The rows with these numbers, which it has.
    pub(crate) fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            values: &self.values[rows.start * self.dim..rows.end * self.dim],
            dim: self.dim,
        }
    }

    /// The values of a random subsample of at most `most` rows, in the rows' order.
    pub(crate) fn subsample(&self, most: usize, seed: u64) -> Vec<f32> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let count = self.rows().min(most);
        let mut chosen = rand::seq::index::sample(&mut random, self.rows(), count).into_vec();
        chosen.sort_unstable();
        let chosen = chosen.into_iter().map(|row| self.row(row));
        chosen.flatten().copied().collect()
    }

    /// Each row.
    pub fn iter(&self) -> std::slice::ChunksExact<'a, f32> {
        self.values.chunks_exact(self.dim)
    }

    /// One row, `at < rows()`.
    pub fn row(&self, at: usize) -> &'a [f32] {
        &self.values[at * self.dim..][..self.dim]
    }

    /// The mean row; zeros without rows.
    pub(crate) fn mean(&self) -> Vec<f32> {
        let mut sums = vec![0.0; self.dim];
        for row in self.iter() {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        let rows = self.rows().max(1) as f64;
        sums.into_iter().map(|sum| (sum / rows) as f32).collect()
    }

    /// The values of one component in each row.
    pub fn component(&self, at: usize) -> impl Iterator<Item = f32> + 'a {
        self.values.iter().skip(at).step_by(self.dim).copied()
    }

    /// That `window` is of the same space as this baseline.
    pub(crate) fn same_space(&self, window: &Vectors<'_>) -> Result<()> {
        if self.dim == window.dim {
            return Ok(());
        }
        let message = format!(
            "the baseline has rows of {} values, the window of {}",
            self.dim, window.dim
        );
        Err(Error::new(ErrorKind::InvalidData, "compare rows", message)
            .remedy("compare rows of one model"))
    }
}

/// The greatest value of a row, the first of several, and its place: the predicted class of a row of scores.
pub(crate) fn arg_max(row: &[f32]) -> (usize, f32) {
    let values = row.iter().copied().enumerate();
    values.fold((0, f32::NEG_INFINITY), |best, value| {
        if value.1 > best.1 { value } else { best }
    })
}

/// Looks at stretches of values first, which is many times faster than looking for the first bad one.
fn first_not_finite(values: &[f32]) -> Option<usize> {
    const STRETCH: usize = 4096;
    let bad = |stretch: &[f32]| stretch.iter().fold(false, |bad, x| bad | !x.is_finite());
    let stretch = values.chunks(STRETCH).position(bad)? * STRETCH;
    let inside = values[stretch..].iter().position(|x| !x.is_finite())?;
    Some(stretch + inside)
}
