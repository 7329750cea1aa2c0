//! A baseline in two halves: one to fit something to, one that has not been seen by it.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Vectors;

/// Runs of consecutive rows that a baseline is cut into, about.
const RUNS: usize = 128;

/// Of every two neighbouring runs of rows one goes to either half, by coin: both halves have the mix of the whole even where
/// rows are sorted or come in turns, and few rows of one half have neighbours in the other. The first half is never
/// the smaller by more than a run; both keep the rows' order.
pub(crate) fn halves(rows: Vectors<'_>, seed: u64) -> [Vec<f32>; 2] {
    let run = (rows.rows() / RUNS).max(1);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut halves = [Vec::new(), Vec::new()];
    for pair in rows.values().chunks(2 * run * rows.dim()) {
        let (one, other) = pair.split_at((run * rows.dim()).min(pair.len()));
        // A run that is left alone goes to the first half.
        let first = usize::from(!other.is_empty() && random.random());
        halves[first].extend_from_slice(one);
        halves[1 - first].extend_from_slice(other);
    }
    halves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_in_one_half_and_sorted_rows_are_in_both() {
        for rows in [1, 2, 3, 50, 129, 1_000, 5_003] {
            let values: Vec<f32> = (0..rows).map(|row| row as f32).collect();
            let [first, second] = halves(Vectors::new("rows", &values, 1).unwrap(), 1);
            let run = (rows / RUNS).max(1);
            assert!(first.len().abs_diff(second.len()) <= run, "{rows}");
            for half in [&first, &second] {
                assert!(half.is_sorted());
                let early = half.iter().filter(|row| **row < rows as f32 / 2.0).count();
                assert!((2 * early).abs_diff(half.len()) <= 2 * run, "{rows}");
            }
            let mut all = [first, second].concat();
            all.sort_by(f32::total_cmp);
            assert_eq!(all, values);
        }
    }
}
