//! Rows that depend on each other: what a test may take of them.

use crate::{TestOptions, Vectors};

/// Blocks left out between two blocks of dependent rows.
pub(crate) const GAP: usize = 2;

/// The rows that a test of independent rows may use: all, or one of each block and the gap after it.
pub(crate) fn independent_rows(rows: Vectors<'_>, options: &TestOptions) -> Vec<f32> {
    let rows = rows.iter().step_by(stride(options));
    rows.flatten().copied().collect()
}

/// Rows from the start of a block to that of the next.
pub(crate) fn stride(options: &TestOptions) -> usize {
    match options.block {
        0 | 1 => 1,
        // A block may be longer than any rows.
        block => block.saturating_mul(1 + GAP),
    }
}
