//! A convolution compiled for planes of one size, with bias, shortcut and ReLU.

use std::array::from_fn;
use std::collections::BTreeMap;
use std::ops::Range;

use driftline_core::{Error, ErrorKind, Result};
use driftline_model as model;

use crate::filter::{Filter, Pair, Small, Tile, Winograd};
use crate::kernel::{CHANNELS, Finish, Kernels, Product, Segment, Transform, pack, padded};
use crate::memory::{Buffer, check_room};
use crate::team::Share;

/// Bytes of factors and sums of products that are made at a time: what stays near the core beside weights.
const SCRATCH_BYTES: usize = 768 << 10;

/// The size of an image's activations: `[height, width, channels]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plane {
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Values from one position to the next.
    pub(crate) channels: usize,
}

impl Plane {
    pub(crate) fn values(self) -> usize {
        self.height * self.width * self.channels
    }

    /// Where the position starts.
    pub(crate) fn at(self, y: usize, x: usize) -> u32 {
        ((y * self.width + x) * self.channels) as u32
    }

    /// The plane of `channels` channels that a square window of `size` makes of this one.
    pub(crate) fn under(self, window: Window, channels: usize) -> Result<Self> {
        let out = |side: usize| {
            let room = (side + 2 * window.padding).checked_sub(window.size)?;
            Some(room / window.stride + 1)
        };
        match (out(self.height), out(self.width)) {
            (Some(height), Some(width)) => Ok(Self {
                height,
                width,
                channels,
            }),
            _ => Err(Error::new(
                ErrorKind::InvalidConfig,
                "open backend",
                format!(
                    "a plane of {} x {} is too small for the network",
                    self.height, self.width
                ),
            )
            .remedy("use a larger input size in model.toml")),
        }
    }

    /// Positions in row-major order.
    pub(crate) fn positions(self) -> impl Iterator<Item = (usize, usize)> {
        (0..self.height).flat_map(move |y| (0..self.width).map(move |x| (y, x)))
    }
}

/// How a square window slides over a plane.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) size: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
}

impl Window {
    pub(crate) fn of(conv: &model::Conv) -> Self {
        Self {
            size: conv.kernel,
            stride: conv.stride,
            padding: conv.padding,
        }
    }

    /// The places of the window, at output position `at` of one dimension, that lie on the plane, and the index on the plane
    /// of the first.
    pub(crate) fn on(self, at: usize, side: usize) -> (Range<usize>, usize) {
        let start = (at * self.stride).saturating_sub(self.padding);
        let first = self.padding.saturating_sub(at * self.stride);
        let last = (side + self.padding).saturating_sub(at * self.stride);
        (first..self.size.min(last).max(first), start)
    }
}

/// Buffers that a convolution works in.
#[derive(Clone, Copy)]
pub(crate) struct Scratch {
    pub(crate) factors: *mut f32,
    pub(crate) sums: *mut f32,
    /// As many zeros as the most channels.
    pub(crate) zeros: *const f32,
}

/// Where a convolution reads and writes; planes lie side by side, image by image.
#[derive(Clone, Copy)]
pub(crate) struct Planes {
    pub(crate) input: *const f32,
    pub(crate) output: *mut f32,
    /// Added before the ReLU.
    pub(crate) shortcut: Option<*const f32>,
}

/// A convolution for planes of one size.
pub(crate) struct Convolution {
    weight: Weight,
    bias: Buffer,
    relu: bool,
    way: Way,
    pub(crate) input: Plane,
    pub(crate) output: Plane,
}

/// Packed weights of one or more products.
struct Weight {
    values: Buffer,
    /// Rows of the weights of one product.
    depth: usize,
}

enum Way {
    /// Positions with the same taps on the plane, in one product each.
    Direct(Vec<Class>),
    /// Minimal filtering in both dimensions.
    Filtered(Filtered),
}

/// Minimal filtering of planes of one size.
struct Filtered {
    side: Side,
    /// Of one image.
    tiles: Vec<Tile>,
    /// Images at a time.
    images: usize,
    segment: [Segment; 1],
    /// For each tile, where its row starts in a matrix of factors.
    input_rows: Vec<u32>,
    /// For each tile, where its row starts in a matrix of sums.
    output_rows: Vec<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Winograd,
    Pair,
}

/// Output positions that see the same taps.
struct Class {
    segments: Vec<Segment>,
    /// Positions in one image.
    positions: usize,
    /// For each image and position, where the first tap lies on the input.
    input_rows: Vec<u32>,
    /// For each image and position, where the result belongs.
    output_rows: Vec<u32>,
}

impl Convolution {
    /// Compiles for at most `images` images at a time.
    pub(crate) fn new(
        conv: &model::Conv,
        relu: bool,
        input: Plane,
        images: usize,
        kernels: &Kernels,
    ) -> Result<Self> {
        let window = Window::of(conv);
        let output = input.under(window, padded(conv.out_channels))?;
        let values = images.saturating_mul(input.values().max(output.values()));
        if u32::try_from(values).is_err() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "open backend",
                format!(
                    "planes of {} x {} with {} channels are more than the candle backend can address",
                    input.height, input.width, output.channels
                ),
            )
            .remedy("use a smaller input size in model.toml"));
        }
        // Before tables are made for planes that cannot be.
        check_room(values)?;
        let mut bias = Buffer::new(output.channels)?;
        bias.as_mut_slice()[..conv.bias.len()].copy_from_slice(&conv.bias);
        let (way, weight) = match filter(window, input) {
            Some(side) => filtered(side, conv, input, output, images, kernels)?,
            None => direct(conv, window, input, output, images, kernels)?,
        };
        Ok(Self {
            weight,
            bias,
            relu,
            way,
            input,
            output,
        })
    }

    /// Values of factors and of sums that the convolution needs room for.
    pub(crate) fn scratch(&self) -> [usize; 2] {
        match &self.way {
            Way::Direct(_) => [0, 0],
            Way::Filtered(Filtered {
                side,
                tiles,
                images,
                ..
            }) => [self.input.channels, self.output.channels]
                .map(|channels| side.products() * tiles.len() * images * channels),
        }
    }

    /// Convolves `images` images.
    ///
    /// # Safety
    /// The processor has the instruction set of `kernels`. `planes` and `scratch` have room for the images; all workers of
    /// `share` call it with the same arguments.
    pub(crate) unsafe fn run(
        &self,
        kernels: &Kernels,
        planes: Planes,
        scratch: Scratch,
        images: usize,
        share: &Share<'_>,
    ) {
        let panels = share.part(self.output.channels.div_ceil(kernels.panel));
        let finish = self.finish(planes);
        match &self.way {
            Way::Direct(classes) => {
                for class in classes {
                    let rows = images * class.positions;
                    // SAFETY: the rows lie inside the planes, the segments inside the weights.
                    unsafe {
                        (kernels.product)(&Product {
                            input: planes.input,
                            input_rows: &class.input_rows[..rows],
                            segments: &class.segments,
                            weight: self.weight.values.start(),
                            depth: self.weight.depth,
                            output: planes.output,
                            output_rows: &class.output_rows[..rows],
                            panels: panels.clone(),
                            columns: self.output.channels,
                            finish,
                        });
                    }
                }
            }
            Way::Filtered(filtered) => {
                for start in (0..images).step_by(filtered.images) {
                    if start > 0 {
                        // The factors of the images before are overwritten.
                        share.wait();
                    }
                    let (input, output) = (self.input.values(), self.output.values());
                    // SAFETY: as for the whole.
                    unsafe {
                        let planes = Planes {
                            input: planes.input.add(start * input),
                            output: planes.output.add(start * output),
                            shortcut: planes.shortcut.map(|shortcut| shortcut.add(start * output)),
                        };
                        let images = filtered.images.min(images - start);
                        self.filter(kernels, filtered, planes, scratch, images, share);
                    }
                }
            }
        }
    }

    /// The part of [`Self::run`] for images that fit the scratch.
    unsafe fn filter(
        &self,
        kernels: &Kernels,
        filtered: &Filtered,
        planes: Planes,
        scratch: Scratch,
        images: usize,
        share: &Share<'_>,
    ) {
        let Filtered { side, tiles, .. } = filtered;
        let (inputs, outputs) = (self.input.channels, self.output.channels);
        let rows = images * tiles.len();
        let panels = share.part(outputs.div_ceil(kernels.panel));
        let units = share.part(inputs / CHANNELS);
        let [to_factors, to_planes] = match side {
            Side::Winograd => kernels.winograd,
            Side::Pair => kernels.pair,
        };
        // SAFETY: the scratch has room for the factors and sums of all products.
        unsafe {
            to_factors(&Transform {
                input: planes.input,
                output: scratch.factors,
                tiles,
                images,
                plane: self.input.values(),
                channels: inputs,
                matrix: rows * inputs,
                range: units.start * CHANNELS..units.end * CHANNELS,
                finish: Finish::NOTHING,
                zeros: scratch.zeros,
            });
            share.wait();
            for product in 0..side.products() {
                (kernels.product)(&Product {
                    input: scratch.factors.add(product * rows * inputs),
                    input_rows: &filtered.input_rows[..rows],
                    segments: &filtered.segment,
                    weight: self.weight.values.start().add(product * inputs * outputs),
                    depth: self.weight.depth,
                    output: scratch.sums.add(product * rows * outputs),
                    output_rows: &filtered.output_rows[..rows],
                    panels: panels.clone(),
                    columns: outputs,
                    finish: Finish::NOTHING,
                });
            }
            to_planes(&Transform {
                input: scratch.sums,
                output: planes.output,
                tiles,
                images,
                plane: self.output.values(),
                channels: outputs,
                matrix: rows * outputs,
                range: panels.start * kernels.panel..outputs.min(panels.end * kernels.panel),
                finish: self.finish(planes),
                zeros: scratch.zeros,
            });
        }
    }

    fn finish(&self, planes: Planes) -> Finish {
        Finish {
            bias: Some(self.bias.start().cast_const()),
            shortcut: planes.shortcut,
            relu: self.relu,
        }
    }
}

impl Side {
    fn products(self) -> usize {
        let side = match self {
            Self::Winograd => Winograd::PRODUCTS,
            Self::Pair => Pair::PRODUCTS,
        };
        side * side
    }

    /// Tiles of one image, from the input to the output, which has the same sides.
    fn tiles(self, input: Plane, output: Plane) -> Vec<Tile> {
        // A pair has no padding in its tile: it is known to be zero.
        let padding = match self {
            Self::Winograd => 1,
            Self::Pair => 0,
        };
        let grid = |plane: Plane, y: usize, x: usize, back: usize| -> Small<Small<Option<u32>>> {
            from_fn(|i| {
                from_fn(|j| {
                    let (y, x) = ((y + i).checked_sub(back)?, (x + j).checked_sub(back)?);
                    (y < plane.height && x < plane.width).then(|| plane.at(y, x))
                })
            })
        };
        (0..input.height)
            .step_by(2)
            .flat_map(|y| (0..input.width).step_by(2).map(move |x| (y, x)))
            .map(|(y, x)| Tile {
                input: grid(input, y, x, padding),
                output: grid(output, y, x, 0),
            })
            .collect()
    }

    fn weight(self, taps: [f64; 3]) -> Small<f64> {
        match self {
            Self::Winograd => Winograd::weight(taps),
            Self::Pair => Pair::weight(taps),
        }
    }
}

/// The way with the fewest multiplications, where it is worth its transforms.
fn filter(window: Window, plane: Plane) -> Option<Side> {
    if (window.size, window.stride, window.padding) != (3, 1, 1) {
        return None;
    }
    if (plane.height, plane.width) == (2, 2) {
        return Some(Side::Pair);
    }
    let taps = |side: usize| 3 * side - 2;
    let products = 4 * plane.height.div_ceil(2) * 4 * plane.width.div_ceil(2);
    (products * 5 < taps(plane.height) * taps(plane.width) * 4).then_some(Side::Winograd)
}

fn filtered(
    side: Side,
    conv: &model::Conv,
    input: Plane,
    output: Plane,
    images: usize,
    kernels: &Kernels,
) -> Result<(Way, Weight)> {
    let tiles = side.tiles(input, output);
    let products = side.products();
    let wide = products.isqrt();
    let mut factors = vec![vec![0.0; input.channels * output.channels]; products];
    for (out, filter) in conv.weight.chunks_exact(conv.in_channels * 9).enumerate() {
        for (channel, taps) in filter.chunks_exact(9).enumerate() {
            let rows: [Small<f64>; 3] =
                from_fn(|row| side.weight(from_fn(|column| f64::from(taps[row * 3 + column]))));
            for x in 0..wide {
                let column = side.weight(from_fn(|row| rows[row][x]));
                for y in 0..wide {
                    factors[y * wide + x][channel * output.channels + out] = column[y] as f32;
                }
            }
        }
    }
    let mut values = Buffer::new(products * input.channels * output.channels)?;
    for (factor, packed) in factors.iter().zip(
        values
            .as_mut_slice()
            .chunks_exact_mut(input.channels * output.channels),
    ) {
        pack(factor, output.channels, kernels.panel, packed);
    }
    let image = products * tiles.len() * (input.channels + output.channels) * 4;
    let images = (SCRATCH_BYTES / image).clamp(1, images);
    let rows = |channels: usize| {
        (0..images * tiles.len())
            .map(|row| (row * channels) as u32)
            .collect()
    };
    let way = Way::Filtered(Filtered {
        input_rows: rows(input.channels),
        output_rows: rows(output.channels),
        side,
        tiles,
        images,
        segment: [Segment {
            input: 0,
            weight: 0,
            depth: input.channels as u32,
        }],
    });
    let depth = input.channels;
    Ok((way, Weight { values, depth }))
}

fn direct(
    conv: &model::Conv,
    window: Window,
    input: Plane,
    output: Plane,
    images: usize,
    kernels: &Kernels,
) -> Result<(Way, Weight)> {
    // Taps on the plane, for each output position.
    let mut classes: BTreeMap<Vec<[usize; 3]>, Vec<(u32, u32)>> = BTreeMap::new();
    let mut used = vec![false; window.size * window.size];
    for (y, x) in output.positions() {
        let (rows, top) = window.on(y, input.height);
        let (columns, left) = window.on(x, input.width);
        let lines = rows.clone().map(|row| {
            let line = row - rows.start;
            [line, row * window.size + columns.start, columns.len()]
        });
        for [_, tap, taps] in lines.clone() {
            used[tap..tap + taps].fill(true);
        }
        classes
            .entry(lines.collect())
            .or_default()
            .push((input.at(top, left), output.at(y, x)));
    }
    // Weights of taps that no position uses are left out.
    let mut place = vec![0; used.len()];
    let mut depth = 0;
    for (tap, used) in used.iter().enumerate() {
        place[tap] = depth;
        depth += if *used { input.channels } else { 0 };
    }
    let mut weight = vec![0.0; depth * output.channels];
    let taps = used.len();
    for (out, filter) in conv
        .weight
        .chunks_exact(conv.in_channels * taps)
        .enumerate()
    {
        for (channel, values) in filter.chunks_exact(taps).enumerate() {
            for (tap, value) in values.iter().enumerate() {
                if used[tap] {
                    weight[(place[tap] + channel) * output.channels + out] = *value;
                }
            }
        }
    }
    let mut values = Buffer::new(weight.len())?;
    pack(
        &weight,
        output.channels,
        kernels.panel,
        values.as_mut_slice(),
    );
    let classes = classes
        .into_iter()
        .map(|(lines, positions)| {
            let rows = |of: fn(&(u32, u32)) -> u32, plane: Plane| {
                (0..images)
                    .flat_map(|image| {
                        let start = (image * plane.values()) as u32;
                        positions.iter().map(move |position| start + of(position))
                    })
                    .collect()
            };
            Class {
                segments: lines
                    .iter()
                    .map(|[line, tap, taps]| Segment {
                        input: (line * input.width * input.channels) as u32,
                        weight: place[*tap] as u32,
                        depth: (taps * input.channels) as u32,
                    })
                    .collect(),
                positions: positions.len(),
                input_rows: rows(|position| position.0, input),
                output_rows: rows(|position| position.1, output),
            }
        })
        .collect();
    Ok((Way::Direct(classes), Weight { values, depth }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Instructions;
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
    fn expected(conv: &model::Conv, input: &[f32], plane: Plane, [y, x, out]: [usize; 3]) -> f64 {
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

    fn check(conv: &model::Conv, plane: Plane, images: usize, workers: usize) {
        for instructions in Instructions::supported() {
            let kernels = instructions.kernels().unwrap();
            let compiled = Convolution::new(conv, true, plane, images, kernels).unwrap();
            let mut input = values(images * plane.values(), 7);
            for position in input.chunks_exact_mut(plane.channels) {
                position[conv.in_channels..].fill(0.0);
            }
            let output = compiled.output;
            let shortcut = values(images * output.values(), 8);
            let mut found = Buffer::new(images * output.values()).unwrap();
            let [factors, sums] = compiled.scratch().map(|size| Buffer::new(size).unwrap());
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
                    factors: factors.start(),
                    sums: sums.start(),
                    zeros: zeros.start(),
                };
                compiled.run(kernels, planes, scratch, images, share);
            });
            let found = found.as_mut_slice();
            for image in 0..images {
                let input = &input[image * plane.values()..][..plane.values()];
                for (y, x) in output.positions() {
                    for out in 0..conv.out_channels {
                        let at = image * output.values() + output.at(y, x) as usize + out;
                        let expected =
                            expected(conv, input, plane, [y, x, out]) + f64::from(shortcut[at]);
                        let difference = (f64::from(found[at]) - expected.max(0.0)).abs();
                        assert!(
                            difference < 2e-6,
                            "{instructions}, {}x{} by {}, {plane:?}, image {image}, {y} {x} {out}: {} is not {expected}",
                            conv.kernel,
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
                    let conv = model::Conv {
                        weight,
                        bias: values(out_channels, 4),
                        out_channels,
                        in_channels,
                        kernel,
                        stride,
                        padding,
                    };
                    let plane = Plane {
                        height,
                        width,
                        channels: padded(in_channels),
                    };
                    check(&conv, plane, 5, 1);
                    check(&conv, plane, 2, 3);
                }
            }
        }
    }
}
