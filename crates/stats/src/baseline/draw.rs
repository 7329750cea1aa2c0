//! Row numbers of a window that is drawn from a sample.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Numbers of `count` of `rows` rows: any, or some that follow each other.
pub(super) fn draw(
    rows: usize,
    count: usize,
    consecutive: bool,
    random: &mut ChaCha8Rng,
) -> Vec<usize> {
    if consecutive {
        let start = random.random_range(0..=rows - count);
        (start..start + count).collect()
    } else {
        rand::seq::index::sample(random, rows, count).into_vec()
    }
}
