//! The largest or the mean of a window.

use std::ops::Range;

use crate::simd::Vector;

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
pub(crate) unsafe fn pool<V: Vector, const MEAN: bool>(p: &Pool<'_>) {
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
