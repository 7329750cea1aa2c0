//! A baseline split into two halves: one to fit something to, one that has not been seen by it.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::dependence::GAP;
use crate::Vectors;

/// Runs of consecutive rows that a baseline is cut into, about.
const RUNS: usize = 128;

/// Blocks in a run of dependent rows, so that a gap takes a fifth of it.
const RUN_BLOCKS: usize = 5 * GAP;

/// Runs that dependent rows are cut into at least.
const FEWEST_RUNS: usize = 4;

/// Of every two neighbouring runs of rows one goes to either half, by coin: both halves have the mix of the whole even where
/// rows are sorted or come in turns, and few rows of one half have neighbours in the other. The first half is never
/// the smaller by more than a run; both keep the rows' order.
///
/// Rows that depend on each other over `block` rows come in longer runs with gaps between them: a row beside those that something
/// was fitted to is not unseen.
pub(crate) fn split_halves(rows: Vectors<'_>, block: usize, seed: u64) -> [Vec<f32>; 2] {
    let (longer, gap) = if block > 1 {
        let longer = block.saturating_mul(RUN_BLOCKS);
        (
            longer.min(rows.rows() / FEWEST_RUNS),
            block.saturating_mul(GAP),
        )
    } else {
        (1, 0)
    };
    let run = (rows.rows() / RUNS).max(longer).max(1);
    let before_gap =
        |rows_of_run: &[f32]| rows_of_run.len().min(run.saturating_sub(gap) * rows.dim());
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut halves = [Vec::new(), Vec::new()];
    for pair in rows.values().chunks(2 * run * rows.dim()) {
        let (one, other) = pair.split_at((run * rows.dim()).min(pair.len()));
        // A run that is left alone goes to the first half.
        let first = usize::from(!other.is_empty() && random.random());
        halves[first].extend_from_slice(&one[..before_gap(one)]);
        halves[1 - first].extend_from_slice(&other[..before_gap(other)]);
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
            let [first, second] = split_halves(Vectors::new("rows", &values, 1).unwrap(), 1, 1);
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

    #[test]
    fn dependent_rows_of_one_half_are_far_from_the_other() {
        let values: Vec<f32> = (0..2_000).map(|row| row as f32).collect();
        let rows = |count| Vectors::new("rows", &values[..count], 1).unwrap();
        for (count, block) in [(2_000, 3), (2_000, 22), (500, 22), (130, 10)] {
            let [first, second] = split_halves(rows(count), block, 1);
            assert!(
                first.len().min(second.len()) * 10 >= count,
                "{count}, {block}"
            );
            for one in &first {
                let apart = second
                    .iter()
                    .all(|other| (one - other).abs() > (GAP * block) as f32);
                assert!(apart, "{one} of {count}, {block}");
            }
        }
        for block in [500, usize::MAX] {
            assert!(
                split_halves(rows(2_000), block, 1)
                    .iter()
                    .all(Vec::is_empty)
            );
        }
    }
}
