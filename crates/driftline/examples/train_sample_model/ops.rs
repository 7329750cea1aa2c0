//! The one operation that candle's gradients lack: patches of an image, and its adjoint.
//!
//! With it a convolution is a matrix product, and a max pool a maximum over the pixels of a patch; candle derives the
//! gradients of both. (Of its own it has none for a max pool whose windows overlap, and slow ones for convolutions.)

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor, bail};

/// Where the patches of a plane lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patches {
    pub(super) height: usize,
    pub(super) width: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

impl Patches {
    /// Height and width of the plane of patches.
    pub(super) fn out(&self) -> (usize, usize) {
        let out = |side: usize| (side + 2 * self.padding - self.kernel) / self.stride + 1;
        (out(self.height), out(self.width))
    }

    /// f32 `[N * H * W, C]` to `[N * outH * outW, kernel * kernel * C]`, zero outside the plane.
    pub(super) fn of(self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(Unfold(self))
    }

    /// Calls `f(patch, at, pixel)` for each pixel `at` of each patch that lies inside the plane of one of `n` images;
    /// `patch` and `pixel` count through all images.
    fn for_each(&self, n: usize, mut f: impl FnMut(usize, usize, usize)) {
        let (out_height, out_width) = self.out();
        let mut patch = 0;
        for image in 0..n {
            for top in 0..out_height {
                for left in 0..out_width {
                    for dy in 0..self.kernel {
                        let y = (top * self.stride + dy).wrapping_sub(self.padding);
                        if y >= self.height {
                            continue;
                        }
                        for dx in 0..self.kernel {
                            let x = (left * self.stride + dx).wrapping_sub(self.padding);
                            if x < self.width {
                                let pixel = (image * self.height + y) * self.width + x;
                                f(patch, dy * self.kernel + dx, pixel);
                            }
                        }
                    }
                    patch += 1;
                }
            }
        }
    }
}

fn values<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("patches need contiguous values"),
    }
}

struct Unfold(Patches);

impl CustomOp1 for Unfold {
    fn name(&self) -> &'static str {
        "unfold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let from = values(storage, layout)?;
        let (pixels, channels) = layout.shape().dims2()?;
        let patches = self.0;
        let n = pixels / (patches.height * patches.width);
        let (height, width) = patches.out();
        let row = patches.kernel * patches.kernel * channels;
        let mut to = vec![0_f32; n * height * width * row];
        patches.for_each(n, |patch, at, pixel| {
            let start = patch * row + at * channels;
            to[start..start + channels]
                .copy_from_slice(&from[pixel * channels..(pixel + 1) * channels]);
        });
        Ok((CpuStorage::F32(to), (n * height * width, row).into()))
    }

    fn bwd(&self, arg: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let (pixels, channels) = arg.dims2()?;
        let fold = Fold {
            patches: self.0,
            pixels,
            channels,
        };
        Ok(Some(grad.contiguous()?.apply_op1_no_bwd(&fold)?))
    }
}

/// The adjoint of [`Unfold`]: each pixel is the sum of its copies.
struct Fold {
    patches: Patches,
    pixels: usize,
    channels: usize,
}

impl CustomOp1 for Fold {
    fn name(&self) -> &'static str {
        "fold"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let from = values(storage, layout)?;
        let (_, row) = layout.shape().dims2()?;
        let channels = self.channels;
        let n = self.pixels / (self.patches.height * self.patches.width);
        let mut to = vec![0_f32; self.pixels * channels];
        self.patches.for_each(n, |patch, at, pixel| {
            let start = patch * row + at * channels;
            let sums = &mut to[pixel * channels..(pixel + 1) * channels];
            for (sum, value) in sums.iter_mut().zip(&from[start..start + channels]) {
                *sum += value;
            }
        });
        Ok((CpuStorage::F32(to), (self.pixels, channels).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    /// A convolution made of patches, and its gradients, against candle's own.
    #[test]
    fn patches_give_the_convolution_and_its_gradients() {
        let device = Device::Cpu;
        let (n, channels, out, side) = (2, 3, 4, 7);
        let wave = |count: usize, step: f32| -> Vec<f32> {
            (0..count).map(|i| (i as f32 * step).sin()).collect()
        };
        for (kernel, stride, padding) in [(3, 2, 1), (3, 1, 1), (1, 2, 0)] {
            let x = Var::from_vec(
                wave(n * channels * side * side, 0.7),
                (n, channels, side, side),
                &device,
            )
            .unwrap();
            let w = Var::from_vec(
                wave(out * channels * kernel * kernel, 1.3),
                (out, channels, kernel, kernel),
                &device,
            )
            .unwrap();
            let patches = Patches {
                height: side,
                width: side,
                kernel,
                stride,
                padding,
            };
            let (height, width) = patches.out();
            let rows = x
                .permute((0, 2, 3, 1))
                .unwrap()
                .reshape((n * side * side, channels))
                .unwrap();
            let matrix = w
                .permute((2, 3, 1, 0))
                .unwrap()
                .reshape((kernel * kernel * channels, out))
                .unwrap();
            let ours = patches
                .of(&rows)
                .unwrap()
                .matmul(&matrix)
                .unwrap()
                .reshape((n, height, width, out))
                .unwrap()
                .permute((0, 3, 1, 2))
                .unwrap();
            let theirs = x.conv2d(&w, padding, stride, 1, 1).unwrap();
            let difference = |a: &Tensor, b: &Tensor| {
                (a - b)
                    .unwrap()
                    .abs()
                    .unwrap()
                    .max_all()
                    .unwrap()
                    .to_scalar::<f32>()
                    .unwrap()
            };
            assert!(difference(&ours, &theirs) < 1e-5);
            let ours = ours.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            let theirs = theirs.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            for var in [&x, &w] {
                let (a, b) = (ours.get(var).unwrap(), theirs.get(var).unwrap());
                assert!(difference(a, b) < 1e-4, "kernel {kernel}, stride {stride}");
            }
        }
    }
}
