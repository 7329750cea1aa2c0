//! Pixels to the planes of the first stage: normalisation, the first convolution, and the pool behind it.

use std::ops::Range;

use driftline_core::{ImageShape, Result};

use crate::areas::{Areas, MOST_IMAGES, STAGE_BYTES};
use crate::convolution::Convolution;
use crate::kernel::Kernels;
use crate::plane::{Plane, Planes, Window};
use crate::pool::Pool;
use crate::resnet18::{Conv, Input};
use crate::team::Share;

const POOL: Window = Window {
    size: 3,
    stride: 2,
    padding: 1,
};

/// The stem, for images of one size.
pub(crate) struct Stem {
    pub(crate) image: ImageShape,
    /// Zeros around an image.
    margin: usize,
    /// See [`Input::normalised`].
    normalised: [[f32; 256]; 3],
    pub(crate) convolution: Convolution,
    /// For each position of the pool, where the values under its window start.
    windows: Vec<Vec<u32>>,
    pub(crate) output: Plane,
    /// Images at a time.
    pub(crate) images: usize,
}

impl Stem {
    pub(crate) fn new(conv: Conv<'_>, input: &Input, kernels: &Kernels) -> Result<Self> {
        let (image, normalised, margin) = (input.shape, input.normalised, conv.padding);
        let input = Plane {
            height: image.height + 2 * margin,
            width: image.width + 2 * margin,
            channels: conv.in_channels,
        };
        // The zeros are there already when the convolution starts.
        let conv = Conv { padding: 0, ..conv };
        let plane = input.under(Window::of(conv), kernels.padded(conv.out_channels))?;
        let images = (STAGE_BYTES / (4 * plane.values())).clamp(1, MOST_IMAGES);
        let convolution = Convolution::new(conv, true, input, images, kernels)?;
        let output = plane.under(POOL, plane.channels)?;
        let windows = output
            .positions()
            .map(|(y, x)| {
                let (rows, top) = POOL.on(y, plane.height);
                let (columns, left) = POOL.on(x, plane.width);
                (top..top + rows.len())
                    .flat_map(|y| (left..left + columns.len()).map(move |x| plane.at(y, x)))
                    .collect()
            })
            .collect();
        Ok(Self {
            image,
            margin,
            normalised,
            convolution,
            windows,
            output,
            images,
        })
    }

    /// Fills the first buffer between stages. As unsafe as the run of the whole plan.
    pub(crate) unsafe fn run(
        &self,
        kernels: &Kernels,
        images: &[u8],
        work: &Areas<*mut f32>,
        share: &Share<'_>,
    ) {
        let plane = self.convolution.output;
        let bytes = self.image.bytes();
        for (index, images) in images.chunks(self.images * bytes).enumerate() {
            let n = images.len() / bytes;
            let planes = Planes {
                input: work.image,
                output: work.stem,
                shortcut: None,
            };
            // SAFETY: the buffers have room for this many images.
            unsafe {
                if index > 0 {
                    // Another worker may still read the images before.
                    share.wait();
                }
                let rows = share.part(n * self.image.height);
                self.normalise(images, rows, work.image);
                self.convolution
                    .run(kernels, planes, work.scratch(), n, share);
                // A worker pools the channels that it has just made.
                (kernels.largest)(&Pool {
                    input: planes.output,
                    output: work.between[0].add(index * self.images * self.output.values()),
                    windows: &self.windows,
                    images: n,
                    plane: plane.values(),
                    channels: plane.channels,
                    range: kernels.range(plane.channels, share),
                });
            }
        }
    }

    /// Rows of u8 `[n, H, W, 3]` to normalised f32 with zeros around each image; the zeros are there.
    ///
    /// # Safety
    /// The output has room for the images, and nobody else has these rows of it.
    unsafe fn normalise(&self, images: &[u8], rows: Range<usize>, output: *mut f32) {
        let [red, green, blue] = &self.normalised;
        let plane = self.convolution.input;
        let width = self.image.width * 3;
        let pixels = &images[rows.start * width..rows.end * width];
        for (row, pixels) in rows.zip(pixels.chunks_exact(width)) {
            let (image, y) = (row / self.image.height, row % self.image.height);
            let at = image * plane.values() + plane.at(y + self.margin, self.margin) as usize;
            // SAFETY: the row lies on the plane of the image.
            let to = unsafe { std::slice::from_raw_parts_mut(output.add(at), width) };
            for (to, &[r, g, b]) in to.as_chunks_mut().0.iter_mut().zip(pixels.as_chunks().0) {
                *to = [red[r as usize], green[g as usize], blue[b as usize]];
            }
        }
    }
}
