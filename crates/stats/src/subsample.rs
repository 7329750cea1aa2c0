//! A subsample of numbered rows.

use std::collections::HashSet;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Which of `rows` rows are in a random subsample of `size` rows, drawn from `seed`; `None` is all of them.
///
/// By Floyd's method (Bentley and Floyd 1987), whose memory does not grow with the number of rows. `rand::seq::index::sample` draws
/// other rows from the same seed, and what was clustered on a subsample must stay comparable.
pub fn subsample(rows: u64, size: u64, seed: u64) -> Option<HashSet<u64>> {
    if rows <= size {
        return None;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut chosen = HashSet::new();
    for limit in rows - size..rows {
        let row = random.random_range(0..=limit);
        if !chosen.insert(row) {
            chosen.insert(limit);
        }
    }
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_rows_a_subsample_of_fixed_size_is_drawn() {
        const SIZE: u64 = 100_000;
        assert_eq!(subsample(SIZE, SIZE, 42), None);
        let rows = 3 * SIZE;
        let chosen = subsample(rows, SIZE, 42).unwrap();
        assert_eq!(chosen.len() as u64, SIZE);
        assert_eq!(subsample(rows, SIZE, 42).unwrap(), chosen);
        assert!(chosen.iter().all(|row| *row < rows));
        // A third of each third, give or take.
        let low = chosen.iter().filter(|row| **row < SIZE).count() as f64;
        assert!((low / SIZE as f64 - 1.0 / 3.0).abs() < 0.01, "{low}");
    }
}
