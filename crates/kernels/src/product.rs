//! Products of rows of the input and the weights, tile by tile of the output.

use std::array::from_fn;
use std::ops::Range;

use crate::simd::{Factor, Vector};

/// Values of weights that are asked for before they are needed: the processor does not look beyond a page by itself.
const AHEAD: usize = 768;

/// Channels come in multiples of this: the lanes of the widest vector.
pub(crate) const CHANNELS: usize = 16;

/// Rows behind the last one that a loop may read, and does not use.
pub(crate) const ROWS_BEYOND: usize = 32;

/// Values under one row of a kernel, which lie side by side in the input.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    /// Where they start, from the start of the input row.
    pub(crate) input: u32,
    /// Rows of the weights that they are multiplied with: the first,
    pub(crate) weight: u32,
    /// and how many.
    pub(crate) depth: u32,
}

impl Segment {
    /// A row whose values all lie side by side.
    pub(crate) fn whole(depth: usize) -> Self {
        Self {
            input: 0,
            weight: 0,
            depth: depth as u32,
        }
    }
}

/// `output[row] = relu(sum over segments of input[row] * weight + bias + shortcut[row])` for a number of rows.
pub(crate) struct Product<'a> {
    /// f32, or bf16 for loops that gather their rows first.
    pub(crate) input: *const f32,
    /// Where each row starts in the input.
    pub(crate) input_rows: &'a [u32],
    pub(crate) segments: &'a [Segment],
    /// Packed in panels of columns.
    pub(crate) weight: *const f32,
    /// Rows of the weights.
    pub(crate) depth: usize,
    pub(crate) output: *mut f32,
    /// Where each row starts in the output and the shortcut.
    pub(crate) output_rows: &'a [u32],
    /// Panels of columns to compute.
    pub(crate) panels: Range<usize>,
    /// Columns of the whole output.
    pub(crate) columns: usize,
    pub(crate) finish: Finish,
}

/// What happens to a sum before it is stored.
#[derive(Clone, Copy)]
pub(crate) struct Finish {
    /// A value for each column.
    pub(crate) bias: Option<*const f32>,
    /// Values laid out as the output.
    pub(crate) shortcut: Option<*const f32>,
    pub(crate) relu: bool,
}

impl Finish {
    /// The sum itself.
    pub(crate) const NOTHING: Self = Self {
        bias: None,
        shortcut: None,
        relu: false,
    };

    #[inline(always)]
    pub(crate) unsafe fn apply<V: Vector>(&self, sum: V, column: usize, at: usize) -> V {
        // SAFETY: the pointers cover all columns and outputs.
        unsafe {
            let mut value = sum;
            if let Some(bias) = self.bias {
                value = value.add(V::load(bias.add(column)));
            }
            if let Some(shortcut) = self.shortcut {
                value = value.add(V::load(shortcut.add(at + column)));
            }
            if self.relu {
                value = value.max(V::splat(0.0));
            }
            value
        }
    }
}

/// `PANEL` vectors of columns at a time, `ROWS` rows at a time. Channels come in multiples of the widest vector, so that a
/// last panel that is not whole has one.
#[inline(always)]
pub(crate) unsafe fn product<F: Factor, const ROWS: usize, const PANEL: usize>(p: &Product<'_>) {
    let tiles = p.input_rows.len().div_ceil(ROWS);
    let rows = p.input_rows.len().div_ceil(tiles.max(1)).max(1);
    for panel in p.panels.clone() {
        let start = panel * PANEL * F::Sum::LANES;
        let vectors = PANEL.min((p.columns - start) / F::Sum::LANES);
        for (input, output) in p.input_rows.chunks(rows).zip(p.output_rows.chunks(rows)) {
            // SAFETY: the caller's.
            unsafe {
                match vectors {
                    whole if whole == PANEL => any_rows::<F, ROWS, PANEL>(p, start, input, output),
                    1 => any_rows::<F, ROWS, 1>(p, start, input, output),
                    _ => unreachable!("a panel of {vectors} vectors"),
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn any_rows<F: Factor, const ROWS: usize, const VECTORS: usize>(
    p: &Product<'_>,
    column: usize,
    input: &[u32],
    output: &[u32],
) {
    macro_rules! rows {
        ($($rows:literal)*) => {
            match input.len() {
                // SAFETY: the caller's.
                $($rows if $rows <= ROWS => unsafe { tile::<F, $rows, VECTORS>(p, column, input, output) },)*
                _ => unreachable!("a tile of {} rows", input.len()),
            }
        };
    }
    rows!(1 2 3 4 5 6 7 8 9 10 11 12);
}

/// A tile of the output, held in registers.
#[inline(always)]
unsafe fn tile<F: Factor, const ROWS: usize, const VECTORS: usize>(
    p: &Product<'_>,
    column: usize,
    input: &[u32],
    output: &[u32],
) {
    // SAFETY: rows, segments and columns lie inside input, weights and output.
    unsafe {
        let (lanes, wide) = (F::Sum::LANES, F::Sum::LANES * F::DEPTH);
        let factors: *const F::Value = p.input.cast();
        let input: [*const F::Value; ROWS] = from_fn(|row| factors.add(input[row] as usize));
        let weight = p.weight.cast::<F::Value>().add(column * p.depth);
        let mut sums = [[F::Sum::splat(0.0); VECTORS]; ROWS];
        for segment in p.segments {
            let left = input.map(|row| row.add(segment.input as usize));
            let mut weight = weight.add(segment.weight as usize * VECTORS * lanes);
            for k in 0..segment.depth as usize / F::DEPTH {
                let right: [F; VECTORS] = from_fn(|v| F::load(weight.add(v * wide)));
                for v in 0..VECTORS {
                    let ahead = weight.cast::<f32>().wrapping_add(v * lanes + AHEAD);
                    F::Sum::prefetch(ahead);
                }
                sums = from_fn(|row| {
                    let left = F::splat(left[row].add(k * F::DEPTH));
                    from_fn(|v| left.multiply_add(right[v], sums[row][v]))
                });
                weight = weight.add(VECTORS * wide);
            }
        }
        for (sums, at) in sums.iter().zip(output) {
            let at = *at as usize;
            for (v, sum) in sums.iter().enumerate() {
                let column = column + v * lanes;
                let value = p.finish.apply(*sum, column, at);
                value.store(p.output.add(at + column));
            }
        }
    }
}
