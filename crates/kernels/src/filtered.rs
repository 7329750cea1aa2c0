//! Convolution by minimal filtering: planes to factors, products over the channels, sums to planes.

use std::array::from_fn;

use driftline_core::Result;

use crate::filter::{Filter, Pair, Small, Tile, Winograd};
use crate::kernel::Kernels;
use crate::plane::{Plane, Planes, Scratch};
use crate::product::{Finish, Product, ROWS_BEYOND, Segment};
use crate::resnet18::Conv;
use crate::team::Share;
use crate::transform::Transform;
use crate::weight::Weight;

/// Bytes of factors and sums that are made at a time: what stays near the core beside weights.
const BYTES: usize = 768 << 10;

/// A 3x3 convolution by products of a filter in both dimensions.
pub(crate) struct Filtered {
    side: Side,
    /// Of one image.
    tiles: Vec<Tile>,
    weight: Weight,
    segment: [Segment; 1],
    /// For each tile, where its row starts in a matrix of factors.
    input_rows: Vec<u32>,
    /// For each tile, where its row starts in a matrix of sums.
    output_rows: Vec<u32>,
    input: Plane,
    output: Plane,
    /// Images at a time.
    pub(crate) images: usize,
}

/// The filter that both sides of a plane take.
#[derive(Clone, Copy)]
enum Side {
    Winograd,
    Pair,
}

impl Filtered {
    /// The way with the fewest multiplications, if it is worth its transforms.
    pub(crate) fn new(
        conv: Conv<'_>,
        input: Plane,
        output: Plane,
        images: usize,
        kernels: &Kernels,
    ) -> Result<Option<Self>> {
        let Some(side) = Side::of(conv, input) else {
            return Ok(None);
        };
        let tiles = side.tiles(input, output);
        let products = side.products();
        let image = products * tiles.len() * (input.channels + output.channels) * size_of::<f32>();
        let images = (BYTES / image).clamp(1, images);
        let rows = |channels: usize| {
            (0..images * tiles.len())
                .map(|row| (row * channels) as u32)
                .collect()
        };
        Ok(Some(Self {
            weight: Weight::new(
                &side.matrices(conv, input, output),
                output.channels,
                kernels,
            )?,
            input_rows: rows(input.channels),
            output_rows: rows(output.channels),
            segment: [Segment::whole(input.channels)],
            side,
            tiles,
            input,
            output,
            images,
        }))
    }

    /// Values of the factors and of the sums.
    pub(crate) fn scratch(&self) -> [usize; 2] {
        let rows = self.side.products() * self.images * self.tiles.len();
        [
            (rows + ROWS_BEYOND) * self.input.channels,
            rows * self.output.channels,
        ]
    }

    /// Convolves at most [`Self::images`]. As unsafe as the run of a convolution.
    pub(crate) unsafe fn run(
        &self,
        kernels: &Kernels,
        planes: Planes,
        scratch: Scratch,
        images: usize,
        finish: Finish,
        share: &Share<'_>,
    ) {
        let (inputs, outputs) = (self.input.channels, self.output.channels);
        let rows = images * self.tiles.len();
        let factors = scratch.factors[share.turn()];
        let [to_factors, to_planes] = match self.side {
            Side::Winograd => kernels.winograd,
            Side::Pair => kernels.pair,
        };
        // SAFETY: the scratch has room for the factors and sums of all products.
        unsafe {
            to_factors(&Transform {
                input: planes.input,
                output: factors,
                tiles: &self.tiles,
                images,
                plane: self.input.values(),
                channels: inputs,
                matrix: rows * inputs,
                // Those that the worker has made in the layer before.
                range: kernels.range(inputs, share),
                finish: Finish::NOTHING,
                zeros: scratch.zeros,
            });
            share.wait();
            for product in 0..self.side.products() {
                (kernels.product)(&Product {
                    input: kernels.factors(factors, product * rows * inputs),
                    input_rows: &self.input_rows[..rows],
                    segments: &self.segment,
                    weight: self.weight.start(product),
                    depth: self.weight.depth,
                    output: scratch.sums.add(product * rows * outputs),
                    output_rows: &self.output_rows[..rows],
                    panels: kernels.panels(outputs, share),
                    columns: outputs,
                    finish: Finish::NOTHING,
                });
            }
            to_planes(&Transform {
                input: scratch.sums,
                output: planes.output,
                tiles: &self.tiles,
                images,
                plane: self.output.values(),
                channels: outputs,
                matrix: rows * outputs,
                range: kernels.range(outputs, share),
                finish,
                zeros: scratch.zeros,
            });
        }
    }
}

impl Side {
    fn of(conv: Conv<'_>, plane: Plane) -> Option<Self> {
        if (conv.kernel, conv.stride, conv.padding) != (3, 1, 1) {
            return None;
        }
        if (plane.height, plane.width) == (2, 2) {
            return Some(Self::Pair);
        }
        let taps = |side: usize| 3 * side - 2;
        let direct = taps(plane.height) * taps(plane.width);
        let filtered = 4 * plane.height.div_ceil(2) * 4 * plane.width.div_ceil(2);
        // The transforms take about a quarter of the time that the products take.
        (filtered * 5 < direct * 4).then_some(Self::Winograd)
    }

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

    /// `[in, out]` for each product.
    fn matrices(self, conv: Conv<'_>, input: Plane, output: Plane) -> Vec<Vec<f32>> {
        let wide = self.products().isqrt();
        let mut matrices = vec![vec![0.0; input.channels * output.channels]; self.products()];
        for (out, filter) in conv.weight.chunks_exact(conv.in_channels * 9).enumerate() {
            for (channel, taps) in filter.chunks_exact(9).enumerate() {
                let rows: [Small<f64>; 3] =
                    from_fn(|row| self.weight(from_fn(|column| f64::from(taps[row * 3 + column]))));
                for x in 0..wide {
                    let column = self.weight(from_fn(|row| rows[row][x]));
                    for y in 0..wide {
                        matrices[y * wide + x][channel * output.channels + out] = column[y] as f32;
                    }
                }
            }
        }
        matrices
    }
}
