//! The inner loops, compiled once for each instruction set.
//!
//! Activations are f32, channels last, with the channels padded with zeros to a multiple of [`CHANNELS`]. A sum is
//! taken in one order, tap by tap and channel by channel, whatever the number of rows, so that an image has the same
//! embedding in every batch.
//!
//! Loops with bf16 factors sum in f32; the factors of a product lie side by side, row by row, so that a convolution without
//! a filter gathers them first.

use std::array::from_fn;
use std::ops::Range;

use crate::filter::{Filter, MOST_PRODUCTS, Pair, Small, Tile, Winograd};
#[cfg(target_arch = "aarch64")]
use crate::simd::Neon;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512, Pairs};
use crate::simd::{Factor, Portable, Single, Vector};
use crate::team::Share;

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
    /// f32, or bf16 for loops that [gather](Kernels::gather).
    pub(crate) input: *const f32,
    /// Where each row starts in the input.
    pub(crate) input_rows: &'a [u32],
    pub(crate) segments: &'a [Segment],
    /// Packed, see [`Weight`](crate::weight::Weight).
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
unsafe fn product<F: Factor, const ROWS: usize, const PANEL: usize>(p: &Product<'_>) {
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

/// Tiles of planes to factors of the products of a [`Filter`], and sums of products back to planes.
pub(crate) struct Transform<'a> {
    pub(crate) input: *const f32,
    pub(crate) output: *mut f32,
    /// Tiles of one image.
    pub(crate) tiles: &'a [Tile],
    pub(crate) images: usize,
    /// Values of one image's plane.
    pub(crate) plane: usize,
    /// Channels of a position, on the side of the plane and of the products.
    pub(crate) channels: usize,
    /// Values of one product's matrix: `[images * tiles, channels]`.
    pub(crate) matrix: usize,
    /// Channels to transform.
    pub(crate) range: Range<usize>,
    pub(crate) finish: Finish,
    /// `channels` zeros, for positions outside the plane.
    pub(crate) zeros: *const f32,
}

#[inline(always)]
unsafe fn transform_input<V: Vector, F: Filter, const HALF: bool>(t: &Transform<'_>) {
    // SAFETY: tiles lie inside the planes, and products inside their matrices.
    unsafe {
        for image in 0..t.images {
            let plane = t.input.add(image * t.plane);
            for (index, tile) in t.tiles.iter().enumerate() {
                let from: Small<Small<*const f32>> = from_fn(|y| {
                    from_fn(|x| match tile.input[y][x] {
                        Some(at) => plane.add(at as usize),
                        None => t.zeros,
                    })
                });
                let to = (image * t.tiles.len() + index) * t.channels;
                for channel in t.range.clone().step_by(V::LANES) {
                    let mut columns = [[V::splat(0.0); MOST_PRODUCTS]; MOST_PRODUCTS];
                    for (x, column) in columns.iter_mut().enumerate().take(F::INPUT) {
                        *column = F::input(from_fn(|y| {
                            if y < F::INPUT {
                                V::load(from[y][x].add(channel))
                            } else {
                                V::splat(0.0)
                            }
                        }));
                    }
                    for y in 0..F::PRODUCTS {
                        let row = F::input(columns.map(|column| column[y]));
                        for (x, value) in row.iter().enumerate().take(F::PRODUCTS) {
                            let at = to + (y * F::PRODUCTS + x) * t.matrix + channel;
                            if HALF {
                                value.store_half(t.output.cast::<u16>().add(at));
                            } else {
                                value.store(t.output.add(at));
                            }
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn transform_output<V: Vector, F: Filter>(t: &Transform<'_>) {
    // SAFETY: as for the input.
    unsafe {
        for image in 0..t.images {
            for (index, tile) in t.tiles.iter().enumerate() {
                let from = t.input.add((image * t.tiles.len() + index) * t.channels);
                for channel in t.range.clone().step_by(V::LANES) {
                    let mut columns = [[V::splat(0.0); MOST_PRODUCTS]; MOST_PRODUCTS];
                    for (x, column) in columns.iter_mut().enumerate().take(F::PRODUCTS) {
                        *column = F::output(from_fn(|y| {
                            if y < F::PRODUCTS {
                                let product = y * F::PRODUCTS + x;
                                V::load(from.add(product * t.matrix + channel))
                            } else {
                                V::splat(0.0)
                            }
                        }));
                    }
                    for y in 0..F::OUTPUT {
                        let row = F::output(columns.map(|column| column[y]));
                        for (x, value) in row.iter().enumerate().take(F::OUTPUT) {
                            if let Some(at) = tile.output[y][x] {
                                let at = image * t.plane + at as usize;
                                let value = t.finish.apply(*value, channel, at);
                                value.store(t.output.add(at + channel));
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The largest or the mean of values at several positions of a plane.
pub(crate) struct Pool<'a> {
    pub(crate) input: *const f32,
    pub(crate) output: *mut f32,
    /// For each output position of one image, where the values under its window start.
    pub(crate) windows: &'a [Vec<u32>],
    pub(crate) images: usize,
    /// Values of one image's plane in the input.
    pub(crate) plane: usize,
    pub(crate) channels: usize,
    /// Channels to pool.
    pub(crate) range: Range<usize>,
}

#[inline(always)]
unsafe fn pool<V: Vector, const MEAN: bool>(p: &Pool<'_>) {
    // SAFETY: windows lie inside the plane; there is one for each position of the output.
    unsafe {
        for image in 0..p.images {
            let plane = p.input.add(image * p.plane);
            for (index, window) in p.windows.iter().enumerate() {
                let to = p.output.add((image * p.windows.len() + index) * p.channels);
                let share = V::splat(1.0 / window.len() as f32);
                for channel in p.range.clone().step_by(V::LANES) {
                    let mut values = window
                        .iter()
                        .map(|at| V::load(plane.add(*at as usize + channel)));
                    let Some(mut result) = values.next() else {
                        continue;
                    };
                    for value in values {
                        result = if MEAN {
                            result.add(value)
                        } else {
                            result.max(value)
                        };
                    }
                    if MEAN {
                        result = result.mul_add(share, V::splat(0.0));
                    }
                    result.store(to.add(channel));
                }
            }
        }
    }
}

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
unsafe fn gather<V: Vector>(g: &Gather<'_>) {
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

/// The loops of one instruction set.
pub(crate) struct Kernels {
    /// Columns of a product that are computed together.
    pub(crate) panel: usize,
    /// Channels of activations, and the depth of gathered rows, come in multiples of this.
    pub(crate) channels: usize,
    /// For loops with bf16 factors, what makes them.
    pub(crate) gather: Option<unsafe fn(&Gather<'_>)>,
    pub(crate) product: unsafe fn(&Product<'_>),
    pub(crate) winograd: [unsafe fn(&Transform<'_>); 2],
    pub(crate) pair: [unsafe fn(&Transform<'_>); 2],
    pub(crate) largest: unsafe fn(&Pool<'_>),
    pub(crate) mean: unsafe fn(&Pool<'_>),
}

impl Kernels {
    /// `channels` with the padding behind them.
    pub(crate) fn padded(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.channels)
    }

    /// The panels of `columns` that a worker computes.
    pub(crate) fn panels(&self, columns: usize, share: &Share<'_>) -> Range<usize> {
        share.part(columns.div_ceil(self.panel))
    }

    /// The channels of those panels.
    pub(crate) fn range(&self, columns: usize, share: &Share<'_>) -> Range<usize> {
        let panels = self.panels(columns, share);
        panels.start * self.panel..columns.min(panels.end * self.panel)
    }

    /// Rows of the weights for so many values, with the padding behind them.
    pub(crate) fn deep(&self, values: usize) -> usize {
        match self.gather {
            Some(_) => self.padded(values),
            None => values,
        }
    }

    /// The factors from the one of index `at` on.
    ///
    /// # Safety
    /// There are that many.
    pub(crate) unsafe fn factors(&self, start: *const f32, at: usize) -> *const f32 {
        // SAFETY: the caller's.
        unsafe {
            match self.gather {
                Some(_) => start.cast::<u16>().add(at).cast(),
                None => start.add(at),
            }
        }
    }
}

macro_rules! kernels {
    ($module:ident, $vector:ty, panel: $panel:expr, product: $product:expr, half: $half:literal $(, $feature:literal)?) => {
        pub(crate) mod $module {
            use super::*;

            macro_rules! instance {
                ($name:ident, $argument:ty, $body:expr) => {
                    $(#[target_feature(enable = $feature)])?
                    unsafe fn $name(argument: &$argument) {
                        // SAFETY: the caller's; the instruction set of the vector is enabled here.
                        unsafe { $body(argument) }
                    }
                };
            }
            instance!(multiply, Product<'_>, $product);
            instance!(gather_rows, Gather<'_>, gather::<$vector>);
            instance!(winograd_input, Transform<'_>, transform_input::<$vector, Winograd, $half>);
            instance!(winograd_output, Transform<'_>, transform_output::<$vector, Winograd>);
            instance!(pair_input, Transform<'_>, transform_input::<$vector, Pair, $half>);
            instance!(pair_output, Transform<'_>, transform_output::<$vector, Pair>);
            instance!(largest, Pool<'_>, pool::<$vector, false>);
            instance!(mean, Pool<'_>, pool::<$vector, true>);

            pub(crate) static KERNELS: Kernels = Kernels {
                panel: $panel,
                channels: if $half { 2 * CHANNELS } else { CHANNELS },
                gather: if $half { Some(gather_rows) } else { None },
                product: multiply,
                winograd: [winograd_input, winograd_output],
                pair: [pair_input, pair_output],
                largest,
                mean,
            };
        }
    };
}

#[cfg(target_arch = "x86_64")]
kernels!(avx512, Avx512, panel: 32, product: product::<Single<Avx512>, 12, 2>, half: false, "avx512f");
#[cfg(target_arch = "x86_64")]
kernels!(avx2, Avx2, panel: 16, product: product::<Single<Avx2>, 6, 2>, half: false, "avx2,fma");
#[cfg(target_arch = "aarch64")]
kernels!(neon, Neon, panel: 16, product: product::<Single<Neon>, 6, 4>, half: false, "neon");
kernels!(portable, Portable, panel: 8, product: product::<Single<Portable>, 2, 2>, half: false);
#[cfg(target_arch = "x86_64")]
kernels!(
    avx512_bf16, Avx512, panel: 32, product: product::<Pairs, 12, 2>, half: true, "avx512f,avx512bf16"
);
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
kernels!(
    amx_bf16, Avx512, panel: 32, product: crate::amx::product, half: true, "avx512f,avx512bf16"
);
