//! A convolution compiled for planes of one size, with bias, shortcut and ReLU.

use driftline_core::{Error, ErrorKind, Result};

use crate::direct::Direct;
use crate::filtered::Filtered;
use crate::kernel::Kernels;
use crate::memory::{Buffer, check_room};
use crate::plane::{Plane, Planes, Scratch, Window};
use crate::product::Finish;
use crate::resnet18::Conv;
use crate::team::Share;

/// A convolution for planes of one size.
pub(crate) struct Convolution {
    way: Way,
    bias: Buffer,
    relu: bool,
    pub(crate) input: Plane,
    pub(crate) output: Plane,
}

enum Way {
    Direct(Direct),
    Filtered(Filtered),
}

impl Convolution {
    /// Compiles for at most `images` images at a time.
    pub(crate) fn new(
        conv: Conv<'_>,
        relu: bool,
        input: Plane,
        images: usize,
        kernels: &Kernels,
    ) -> Result<Self> {
        let output = input.under(Window::of(conv), kernels.padded(conv.out_channels))?;
        let values = images.saturating_mul(input.values().max(output.values()));
        if u32::try_from(values).is_err() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "open backend",
                format!(
                    "planes of {} x {} with {} channels are more than the kernels can address",
                    input.height, input.width, output.channels
                ),
            )
            .remedy("use a smaller input size in model.toml"));
        }
        // Before tables are made for planes that cannot be.
        check_room(values)?;
        let mut bias = Buffer::new(output.channels)?;
        bias.as_mut_slice()[..conv.bias.len()].copy_from_slice(conv.bias);
        let way = match Filtered::new(conv, input, output, images, kernels)? {
            Some(filtered) => Way::Filtered(filtered),
            None => Way::Direct(Direct::new(conv, input, output, images, kernels)?),
        };
        Ok(Self {
            way,
            bias,
            relu,
            input,
            output,
        })
    }

    /// Values of the scratch that it needs: factors and sums.
    pub(crate) fn scratch(&self) -> [usize; 2] {
        match &self.way {
            Way::Direct(direct) => [direct.gathered, 0],
            Way::Filtered(filtered) => filtered.scratch(),
        }
    }

    /// Convolves `images` images.
    ///
    /// # Safety
    /// The processor has the instruction set of `kernels`. `planes` and `scratch` have room for the images; all workers of
    /// `share` call it with the same arguments. The input was made by convolutions before it with the same `share`, or all of it
    /// by every worker that reads it, and nobody reads the output before a convolution after it.
    pub(crate) unsafe fn run(
        &self,
        kernels: &Kernels,
        planes: Planes,
        scratch: Scratch,
        images: usize,
        share: &Share<'_>,
    ) {
        let finish = |planes: Planes| Finish {
            bias: Some(self.bias.start().cast_const()),
            shortcut: planes.shortcut,
            relu: self.relu,
        };
        match &self.way {
            // SAFETY: the caller's.
            Way::Direct(direct) => unsafe {
                direct.run(
                    kernels,
                    planes,
                    scratch.factors,
                    images,
                    finish(planes),
                    share,
                );
            },
            Way::Filtered(filtered) => {
                for start in (0..images).step_by(filtered.images) {
                    let images = filtered.images.min(images - start);
                    // SAFETY: as for the whole.
                    unsafe {
                        let planes =
                            planes.from(start * self.input.values(), start * self.output.values());
                        filtered.run(kernels, planes, scratch, images, finish(planes), share);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Instructions;
    use driftline_core::Precision;

    use crate::team::Team;

    /// Numbers between -1 and 1 that look random.
    fn values(count: usize, seed: usize) -> Vec<f32> {
        let mut state = seed as u32 * 2 + 1;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    /// One output in f64, as the definition says.
    fn expected(conv: Conv<'_>, input: &[f32], plane: Plane, [y, x, out]: [usize; 3]) -> f64 {
        let mut sum = f64::from(conv.bias[out]);
        for row in 0..conv.kernel {
            for column in 0..conv.kernel {
                let at = [y * conv.stride + row, x * conv.stride + column]
                    .map(|at| at.checked_sub(conv.padding));
                let [Some(y), Some(x)] = at else { continue };
                if y >= plane.height || x >= plane.width {
                    continue;
                }
                for channel in 0..conv.in_channels {
                    let weight = ((out * conv.in_channels + channel) * conv.kernel + row)
                        * conv.kernel
                        + column;
                    let value = input[plane.at(y, x) as usize + channel];
                    sum += f64::from(conv.weight[weight]) * f64::from(value);
                }
            }
        }
        sum
    }

    fn check(conv: Conv<'_>, [height, width]: [usize; 2], images: usize, workers: usize) {
        let sets = |precision| {
            Instructions::supported(precision).map(move |instructions| (instructions, precision))
        };
        for (instructions, precision) in sets(Precision::Fp32).chain(sets(Precision::Bf16)) {
            let kernels = instructions.kernels(precision).unwrap();
            let plane = Plane {
                height,
                width,
                channels: kernels.padded(conv.in_channels),
            };
            let compiled = Convolution::new(conv, true, plane, images, kernels).unwrap();
            let mut input = values(images * plane.values(), 7);
            for position in input.chunks_exact_mut(plane.channels) {
                position[conv.in_channels..].fill(0.0);
            }
            let output = compiled.output;
            let shortcut = values(images * output.values(), 8);
            let mut found = Buffer::new(images * output.values()).unwrap();
            let [factors, sums] = compiled
                .scratch()
                .map(|size| Buffer::new(2 * size).unwrap());
            let zeros = Buffer::new(plane.channels).unwrap();
            let filled = |values: &[f32]| {
                let mut buffer = Buffer::new(values.len()).unwrap();
                buffer.as_mut_slice().copy_from_slice(values);
                buffer
            };
            let (start, added) = (filled(&input), filled(&shortcut));
            // SAFETY: the buffers are as large as the planes, and the instruction set is there.
            Team::new(workers).unwrap().together(&|share| unsafe {
                let planes = Planes {
                    input: start.start(),
                    output: found.start(),
                    shortcut: Some(added.start().cast_const()),
                };
                let scratch = Scratch {
                    factors: [factors.start(), factors.start().add(compiled.scratch()[0])],
                    sums: sums.start(),
                    zeros: zeros.start(),
                };
                compiled.run(kernels, planes, scratch, images, share);
            });
            let found = found.as_mut_slice();
            // A factor of bf16 is off by 2^-9 of itself at most, and the factors of a filter are sums of some values.
            let allowed = match precision {
                Precision::Fp32 => 2e-6,
                _ => 2e-2,
            };
            for image in 0..images {
                let input = &input[image * plane.values()..][..plane.values()];
                for (y, x) in output.positions() {
                    for out in 0..conv.out_channels {
                        let at = image * output.values() + output.at(y, x) as usize + out;
                        let expected =
                            expected(conv, input, plane, [y, x, out]) + f64::from(shortcut[at]);
                        let difference = (f64::from(found[at]) - expected.max(0.0)).abs();
                        assert!(
                            difference < allowed,
                            "{instructions}, {precision}, {0}x{0} by {1}, {plane:?}, image {image}, {y} {x} {out}: {2} is \
                             not {expected}",
                            conv.kernel,
                            conv.stride,
                            found[at]
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn planes_strides_and_channels_of_every_kind() {
        let kinds = [(3, 1, 1), (3, 2, 1), (1, 2, 0), (1, 1, 0), (7, 2, 0)];
        for (kernel, stride, padding) in kinds {
            for [height, width] in [
                [1, 1],
                [2, 2],
                [3, 3],
                [4, 4],
                [8, 8],
                [7, 5],
                [1, 6],
                [2, 9],
            ] {
                if kernel > height.min(width) + 2 * padding {
                    continue;
                }
                for (in_channels, out_channels) in [(16, 16), (3, 40), (20, 80)] {
                    let depth = in_channels * kernel * kernel;
                    // So that results are about 1, whatever the depth.
                    let mut weight = values(out_channels * depth, 3);
                    weight.iter_mut().for_each(|w| *w /= (depth as f32).sqrt());
                    let conv = Conv {
                        weight: &weight,
                        bias: &values(out_channels, 4),
                        out_channels,
                        in_channels,
                        kernel,
                        stride,
                        padding,
                    };
                    check(conv, [height, width], 5, 1);
                    check(conv, [height, width], 2, 3);
                }
            }
        }
    }
}
