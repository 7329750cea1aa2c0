//! Gaussian blur with a 3x3 kernel, as `gaussian_blur` of torchvision on PIL images.
//!
//! The image becomes f32, is extended by reflection, multiplied with the outer product of the normalised kernel
//! `exp(-x^2 / (2 sigma^2))`, x = -1, 0, 1, and rounded half to even.

use driftline_core::{
    DriftTransform, Error, ErrorKind, ImageBatch, ImageShape, Result, TransformContext,
    TransformInfo,
};
use rayon::prelude::*;

use crate::strength::{Strength, refuse};

const NAME: &str = "gaussian_blur";
const CHANNELS: usize = 3;

/// Blurs with a 3x3 kernel.
#[derive(Debug)]
pub struct GaussianBlur {
    info: TransformInfo,
    sigma: Strength,
}

impl GaussianBlur {
    /// Draws the standard deviation of each image from `sigma`, in pixels, which must be above 0.
    pub fn new(sigma: Strength) -> Result<Self> {
        if sigma.low() <= 0.0 {
            return Err(refuse(format!("a blur with sigma {sigma} is not above 0")));
        }
        Ok(Self {
            info: TransformInfo {
                name: NAME.to_owned(),
                expression: format!("{NAME}(sigma={sigma})"),
            },
            sigma,
        })
    }
}

/// The kernel's outer and middle weight, in f32 as PyTorch computes them.
fn kernel(sigma: f64) -> (f32, f32) {
    let x = 1.0 / sigma as f32;
    let outer = f64::from(-0.5 * (x * x)).exp() as f32;
    let sum = outer + 1.0 + outer;
    (outer / sum, 1.0 / sum)
}

/// Scratch memory of one thread: the image with its reflected border, f32.
#[derive(Default)]
struct Scratch(Vec<f32>);

impl Scratch {
    fn blur(&mut self, image: &mut [u8], shape: ImageShape, sigma: f64) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma")
        {
            // SAFETY: the features were just found.
            return unsafe { self.blur_fma(image, shape, sigma) };
        }
        self.blur_any(image, shape, sigma);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn blur_fma(&mut self, image: &mut [u8], shape: ImageShape, sigma: f64) {
        self.blur_any(image, shape, sigma);
    }

    #[inline(always)]
    fn blur_any(&mut self, image: &mut [u8], ImageShape { height, width }: ImageShape, sigma: f64) {
        let (outer, middle) = kernel(sigma);
        let (corner, edge, centre) = (outer * outer, outer * middle, middle * middle);
        let stride = (width + 2) * CHANNELS;
        let line = width * CHANNELS;
        self.0.resize((height + 2) * stride, 0.0);
        let reflect = |y: usize| match y {
            0 => 1,
            y if y == height + 1 => height - 2,
            y => y - 1,
        };
        for (y, padded) in self.0.chunks_exact_mut(stride).enumerate() {
            let row = &image[reflect(y) * line..][..line];
            for (value, pixel) in padded[CHANNELS..].iter_mut().zip(row) {
                *value = f32::from(*pixel);
            }
            padded.copy_within(2 * CHANNELS..3 * CHANNELS, 0);
            padded.copy_within(line - CHANNELS..line, line + CHANNELS);
        }
        for (y, out) in image.chunks_exact_mut(line).enumerate() {
            let rows: [&[f32]; 3] =
                std::array::from_fn(|dy| &self.0[(y + dy) * stride..][..stride]);
            convolve_line(rows, out, [corner, edge, centre]);
        }
    }
}

/// Taps are added from the upper left to the lower right with fused multiply-adds: only this order gives PyTorch's
/// bits where a sum lies close to a half.
#[inline(always)]
fn convolve_line(rows: [&[f32]; 3], out: &mut [u8], [corner, edge, centre]: [f32; 3]) {
    let line = out.len();
    let [above, here, below] =
        rows.map(|row| -> [&[f32]; 3] { std::array::from_fn(|dx| &row[dx * CHANNELS..][..line]) });
    let add = |sum: f32, taps: [&[f32]; 3], i: usize, outer: f32, middle: f32| {
        let sum = taps[0][i].mul_add(outer, sum);
        let sum = taps[1][i].mul_add(middle, sum);
        taps[2][i].mul_add(outer, sum)
    };
    for (i, out) in out.iter_mut().enumerate() {
        let sum = add(0.0, above, i, corner, edge);
        let sum = add(sum, here, i, edge, centre);
        let sum = add(sum, below, i, corner, edge);
        // Adding 1.5 * 2^23 rounds half to even, and leaves the whole number, 0..=255, in the lowest bits.
        const ROUND: f32 = 12_582_912.0;
        *out = (sum + ROUND).to_bits() as u8;
    }
}

impl DriftTransform for GaussianBlur {
    fn info(&self) -> &TransformInfo {
        &self.info
    }

    fn apply(&self, images: &mut ImageBatch, ctx: &TransformContext<'_>) -> Result<()> {
        let shape = images.shape();
        if shape.height < 2 || shape.width < 2 {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "blur",
                format!("images of {shape} pixels are too small to be reflected at the border"),
            )
            .with("transform", NAME)
            .remedy("use images of at least 2x2 pixels"));
        }
        let rows = ctx.rows.iter().copied();
        let work: Vec<(&mut [u8], u64)> = images.images_mut().zip(rows).collect();
        work.into_par_iter()
            .for_each_init(Scratch::default, |scratch, (image, row)| {
                scratch.blur(image, shape, self.sigma.draw(ctx, NAME, row));
            });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flat_image_stays_flat_and_a_point_becomes_the_kernel() {
        let shape = ImageShape {
            height: 3,
            width: 3,
        };
        let mut flat = vec![77; shape.bytes()];
        Scratch::default().blur(&mut flat, shape, 1.0);
        assert_eq!(flat, vec![77; shape.bytes()]);

        let mut point = vec![0; shape.bytes()];
        point[4 * CHANNELS] = 255;
        Scratch::default().blur(&mut point, shape, 1.0);
        // 1-d weights at sigma 1: 0.27406862, 0.45186276; the middle is 255 * 0.45186276^2 = 52.07. At a corner the
        // reflection brings the point in four times: 255 * 4 * 0.27406862^2 = 76.6.
        assert_eq!(point[4 * CHANNELS], 52);
        assert_eq!(point[0], 77);
    }
}
