//! The transforms of a filter: planes to factors, and sums of products to planes.

use std::array::from_fn;
use std::ops::Range;

use crate::filter::{Filter, MOST_PRODUCTS, Small, Tile};
use crate::product::Finish;
use crate::simd::Vector;

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
pub(crate) unsafe fn transform_input<V: Vector, F: Filter, const HALF: bool>(t: &Transform<'_>) {
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
pub(crate) unsafe fn transform_output<V: Vector, F: Filter>(t: &Transform<'_>) {
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
