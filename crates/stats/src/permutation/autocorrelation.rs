//! The autocorrelation of rows, and the block length from it.

use crate::{Moments, Vectors};

/// Rows whose autocorrelation is below this are taken to be independent.
const INDEPENDENT: f64 = 0.1;

/// The share of the rows that a lag is at most: beyond it there are too few pairs.
const LONGEST: usize = 10;

/// Rows that are used at most, from the first.
const MAX_ROWS: usize = 10_000;

/// Standard errors by which chance may take the autocorrelation of few rows above that of independent ones.
const NOISE_ERRORS: f64 = 3.0;

/// The first lag at which the autocorrelation of the rows is below 0.1, or below what chance gives (`3 / sqrt(n)`): a
/// [block](crate::TestOptions::block) for rows in the order they came in. 1 for independent rows; `None` when a tenth of the rows
/// does not show it, as with few rows, sorted ones, or those that move on.
///
/// The autocorrelation is the mean over the components that vary, each in units of its own spread:
/// `r(l) = sum_t (x_t - mean) (x_{t+l} - mean) / sum_t (x_t - mean)²`. It takes `n d` products a lag, of the first 10,000 rows.
pub fn block_length(rows: Vectors<'_>) -> Option<usize> {
    let dim = rows.dim();
    let rows = rows.slice(0..rows.rows().min(MAX_ROWS));
    let (mean, covariance) = {
        let moments = Moments::of(rows);
        (moments.mean(), moments.covariance())
    };
    let spread: Vec<f64> = (0..dim).map(|i| covariance[(i, i)].sqrt()).collect();
    let varying = spread.iter().filter(|spread| **spread > 0.0).count();
    if varying == 0 {
        return Some(1);
    }
    let standardise = |row: &[f32]| -> Vec<f32> {
        let values = row.iter().zip(&mean).zip(&spread);
        values
            .map(|((x, mean), spread)| {
                if *spread > 0.0 {
                    ((f64::from(*x) - mean) / spread) as f32
                } else {
                    0.0
                }
            })
            .collect()
    };
    let values: Vec<f32> = rows
        .values()
        .chunks_exact(dim)
        .flat_map(standardise)
        .collect();
    let n = rows.rows() as f64;
    let independent = INDEPENDENT.max(NOISE_ERRORS / n.sqrt());
    (1..=rows.rows() / LONGEST).find(|lag| {
        let later = values.chunks_exact(dim).skip(*lag);
        let products = values
            .chunks_exact(dim)
            .zip(later)
            .map(|(row, later)| f64::from(row.iter().zip(later).map(|(a, b)| a * b).sum::<f32>()));
        products.sum::<f64>() / (n * varying as f64) < independent
    })
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::permutation::generator;

    const DIM: usize = 8;

    /// Rows whose correlation with the one before is `correlation`, and a component that never changes.
    fn stream(rows: usize, correlation: f64, seed: u64) -> Vec<f32> {
        let mut random = generator(seed, 0);
        let mut normal = || -> f64 { StandardNormal.sample(&mut random) };
        let mut last: Vec<f64> = (0..DIM).map(|_| normal()).collect();
        let mut values = Vec::new();
        for _ in 0..rows {
            for (scale, value) in last.iter_mut().enumerate().skip(1) {
                *value = correlation * *value + (1.0 - correlation * correlation).sqrt() * normal();
                values.push((10_f64.powi(scale as i32) * *value) as f32);
            }
            values.push(7.0);
        }
        values
    }

    fn found(values: &[f32]) -> Option<usize> {
        block_length(Vectors::new("rows", values, DIM).unwrap())
    }

    #[test]
    fn the_block_is_where_the_correlation_fades() {
        for seed in 0..20 {
            for rows in [30, 100, 1_000, 20_000] {
                assert_eq!(found(&stream(rows, 0.0, seed)), Some(1), "{rows}");
            }
            // 0.9^22 = 0.098 and 0.5^4 = 0.06.
            let block = found(&stream(10_000, 0.9, seed)).unwrap();
            assert!((17..=27).contains(&block), "{block}");
            let block = found(&stream(10_000, 0.5, seed)).unwrap();
            assert!((3..=5).contains(&block), "{block}");
        }
    }

    #[test]
    fn sorted_rows_have_no_block_and_odd_rows_have_an_answer() {
        let sorted: Vec<f32> = (0..1_000 * DIM).map(|i| (i / DIM) as f32).collect();
        assert_eq!(found(&sorted), None);
        assert_eq!(found(&[1.0; 100 * DIM]), Some(1));
        assert_eq!(found(&[]), Some(1));
        // Nothing can be said of a single row.
        assert_eq!(found(&[1.0; DIM]), Some(1));
    }
}
