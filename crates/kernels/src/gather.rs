//! Rows of values as rows of bf16, side by side.

use crate::product::Segment;
use crate::simd::Vector;

/// Rows of values to rows of bf16.
pub(crate) struct Gather<'a> {
    pub(crate) input: *const f32,
    /// Where each row starts in the input.
    pub(crate) input_rows: &'a [u32],
    pub(crate) segments: &'a [Segment],
    pub(crate) output: *mut u16,
    /// Where each row starts in the output.
    pub(crate) output_rows: &'a [u32],
    /// Values of a row in the output: those of the segments, and zeros behind them.
    pub(crate) depth: usize,
}

#[inline(always)]
pub(crate) unsafe fn gather<V: Vector>(g: &Gather<'_>) {
    // SAFETY: rows lie inside input and output. A vector may read beyond its segment, and write beyond it inside its row, where the
    // next segment or the zeros follow.
    unsafe {
        for (input, output) in g.input_rows.iter().zip(g.output_rows) {
            let (from, to) = (g.input.add(*input as usize), g.output.add(*output as usize));
            let mut end = 0;
            for segment in g.segments {
                let from = from.add(segment.input as usize);
                let depth = segment.depth as usize;
                for k in (0..depth).step_by(V::LANES) {
                    if k + V::LANES <= depth {
                        V::load(from.add(k)).store_half(to.add(end + k));
                    } else {
                        for k in k..depth {
                            *to.add(end + k) = half::bf16::from_f32(*from.add(k)).to_bits();
                        }
                    }
                }
                end += depth;
            }
            std::slice::from_raw_parts_mut(to.add(end), g.depth - end).fill(0);
        }
    }
}
