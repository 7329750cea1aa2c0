//! Convolution and max pool on channels-last tensors, as custom operations of candle.
//!
//! candle's own convolution makes one small product for each image and asks the system for the number of threads each
//! time, and its element-wise operations wait for a pool of threads; here a chunk is one product, with bias, shortcut and
//! ReLU, on the thread that calls. Activations are f32 `[N, H, W, C]`.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, bail};
use driftline_model as model;
use gemm::{Parallelism, gemm};

/// Positions of the output up to which a convolution is done [position by position](Convolution::by_position).
const DIRECT_POSITIONS: usize = 16;

/// A convolution with bias and, where asked for, a ReLU.
pub(crate) struct Convolution {
    /// `[kernel, kernel, in, out]`, row-major: tap by tap, as patches are gathered.
    weight: Vec<f32>,
    bias: Vec<f32>,
    in_channels: usize,
    window: Window,
    relu: bool,
}

/// How a square window slides over a plane.
#[derive(Clone, Copy)]
struct Window {
    size: usize,
    stride: usize,
    padding: usize,
}

/// A window over planes of one size.
struct Slide {
    window: Window,
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
}

impl Window {
    fn over(self, height: usize, width: usize) -> Result<Slide> {
        let out = |side: usize| match (side + 2 * self.padding).checked_sub(self.size) {
            Some(room) => Ok(room / self.stride + 1),
            None => bail!("a plane of {height} x {width} is too small for the network"),
        };
        Ok(Slide {
            window: self,
            height,
            width,
            out_height: out(height)?,
            out_width: out(width)?,
        })
    }
}

impl Slide {
    /// The row of the plane that window row `tap` of output row `at` lies on; none on the padding.
    fn row(&self, at: usize, tap: usize) -> Option<usize> {
        inside(self.window, at, tap, self.height)
    }

    fn column(&self, at: usize, tap: usize) -> Option<usize> {
        inside(self.window, at, tap, self.width)
    }

    /// The first window column of output column `at` that lies on the plane, the column it lies on, and how many do.
    fn taps(&self, at: usize) -> Option<(usize, usize, usize)> {
        let (tap, column) =
            (0..self.window.size).find_map(|tap| Some((tap, self.column(at, tap)?)))?;
        Some((
            tap,
            column,
            (self.window.size - tap).min(self.width - column),
        ))
    }

    /// Positions of the output in row-major order.
    fn positions(&self) -> impl Iterator<Item = (usize, usize)> {
        let width = self.out_width;
        (0..self.out_height).flat_map(move |y| (0..width).map(move |x| (y, x)))
    }
}

fn inside(window: Window, at: usize, tap: usize, side: usize) -> Option<usize> {
    (at * window.stride + tap)
        .checked_sub(window.padding)
        .filter(|&index| index < side)
}

/// A contiguous f32 `[n, height, width, channels]` tensor.
struct Activations<'a> {
    values: &'a [f32],
    n: usize,
    height: usize,
    width: usize,
    channels: usize,
}

impl<'a> Activations<'a> {
    fn new(storage: &'a CpuStorage, layout: &Layout) -> Result<Self> {
        let (n, height, width, channels) = layout.shape().dims4()?;
        match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F32(values), Some((start, end))) => Ok(Self {
                values: &values[start..end],
                n,
                height,
                width,
                channels,
            }),
            _ => bail!("expected a contiguous f32 tensor"),
        }
    }
}

impl Convolution {
    pub(crate) fn new(conv: &model::Conv, relu: bool) -> Self {
        let taps = conv.kernel * conv.kernel;
        let mut weight = vec![0.0; conv.weight.len()];
        for (out, filter) in conv
            .weight
            .chunks_exact(conv.in_channels * taps)
            .enumerate()
        {
            for (channel, taps_of) in filter.chunks_exact(taps).enumerate() {
                for (tap, value) in taps_of.iter().enumerate() {
                    weight[(tap * conv.in_channels + channel) * conv.out_channels + out] = *value;
                }
            }
        }
        Self {
            weight,
            bias: conv.bias.clone(),
            in_channels: conv.in_channels,
            window: Window {
                size: conv.kernel,
                stride: conv.stride,
                padding: conv.padding,
            },
            relu,
        }
    }

    fn forward(
        &self,
        images: &Activations<'_>,
        shortcut: Option<&Activations<'_>>,
    ) -> Result<(CpuStorage, Shape)> {
        if images.channels != self.in_channels {
            bail!(
                "{} channels where {} belong",
                images.channels,
                self.in_channels
            );
        }
        let slide = self.window.over(images.height, images.width)?;
        let (positions, columns) = (slide.out_height * slide.out_width, self.bias.len());
        let rows = images.n * positions;
        let mut out = self.bias.repeat(rows);
        if let Some(shortcut) = shortcut {
            if shortcut.values.len() != out.len() {
                bail!("a shortcut of another shape");
            }
            for (out, value) in out.iter_mut().zip(shortcut.values) {
                *out += value;
            }
        }
        if positions <= DIRECT_POSITIONS {
            self.by_position(images.values, &slide, &mut out);
        } else {
            let patches = self.patches(images.values, &slide);
            let depth = self.weight.len() / columns;
            let left = Matrix {
                values: &patches,
                stride: depth,
            };
            multiply_add(rows, depth, left, &self.weight, &mut out, columns, columns);
        }
        if self.relu {
            for value in &mut out {
                *value = value.max(0.0);
            }
        }
        let shape = (images.n, slide.out_height, slide.out_width, columns);
        Ok((CpuStorage::F32(out), shape.into()))
    }

    /// A product for each position of the output and each row of the kernel, straight from the images: on a small
    /// plane most of a patch is padding, and a product over patches would mostly multiply zeros.
    fn by_position(&self, images: &[f32], slide: &Slide, out: &mut [f32]) {
        let (size, channels, columns) = (self.window.size, self.in_channels, self.bias.len());
        let plane = slide.height * slide.width * channels;
        let positions = slide.out_height * slide.out_width;
        for (position, (y, x)) in slide.positions().enumerate() {
            let Some((tap, column, taps)) = slide.taps(x) else {
                continue;
            };
            for kernel_row in 0..size {
                let Some(row) = slide.row(y, kernel_row) else {
                    continue;
                };
                let left = Matrix {
                    values: &images[(row * slide.width + column) * channels..],
                    stride: plane,
                };
                let right = &self.weight[(kernel_row * size + tap) * channels * columns..];
                let out = &mut out[position * columns..];
                let rows = images.len() / plane;
                multiply_add(
                    rows,
                    taps * channels,
                    left,
                    right,
                    out,
                    columns,
                    positions * columns,
                );
            }
        }
    }

    /// The pixels under each window, `[positions, size * size * in]`, zero on the padding.
    fn patches(&self, images: &[f32], slide: &Slide) -> Vec<f32> {
        let (size, channels) = (self.window.size, self.in_channels);
        let plane = slide.height * slide.width * channels;
        let depth = size * size * channels;
        let images_count = images.len() / plane;
        let mut patches = vec![0.0; images_count * slide.out_height * slide.out_width * depth];
        let mut patch = patches.chunks_exact_mut(depth);
        for image in images.chunks_exact(plane) {
            for ((y, x), patch) in slide.positions().zip(&mut patch) {
                let Some((tap, column, taps)) = slide.taps(x) else {
                    continue;
                };
                for (row, patch) in patch.chunks_exact_mut(size * channels).enumerate() {
                    if let Some(row) = slide.row(y, row) {
                        let start = (row * slide.width + column) * channels;
                        patch[tap * channels..(tap + taps) * channels]
                            .copy_from_slice(&image[start..start + taps * channels]);
                    }
                }
            }
        }
        patches
    }
}

/// Rows of a matrix, `stride` values from one to the next.
struct Matrix<'a> {
    values: &'a [f32],
    stride: usize,
}

/// `out[i * stride..][..columns] += left[i] * right` for `rows` rows of `depth` values, `right` dense `[depth, columns]`.
fn multiply_add(
    rows: usize,
    depth: usize,
    left: Matrix<'_>,
    right: &[f32],
    out: &mut [f32],
    columns: usize,
    stride: usize,
) {
    assert!(rows > 0 && right.len() >= depth * columns);
    assert!(left.values.len() >= (rows - 1) * left.stride + depth);
    assert!(out.len() >= (rows - 1) * stride + columns);
    // SAFETY: by the assertions above every row of the three row-major matrices lies inside its slice.
    unsafe {
        gemm(
            rows,
            columns,
            depth,
            out.as_mut_ptr(),
            1,
            stride as isize,
            true,
            left.values.as_ptr(),
            1,
            left.stride as isize,
            right.as_ptr(),
            1,
            columns as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

impl CustomOp1 for Convolution {
    fn name(&self) -> &'static str {
        "channels-last-convolution"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.forward(&Activations::new(storage, layout)?, None)
    }
}

/// The convolution plus a shortcut of the same shape as its output.
impl CustomOp2 for Convolution {
    fn name(&self) -> &'static str {
        "channels-last-convolution-with-shortcut"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
        shortcut: &CpuStorage,
        shortcut_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let shortcut = Activations::new(shortcut, shortcut_layout)?;
        self.forward(&Activations::new(storage, layout)?, Some(&shortcut))
    }
}

/// The largest value under a 3x3 window with stride 2 and padding 1.
pub(crate) struct MaxPool;

impl CustomOp1 for MaxPool {
    fn name(&self) -> &'static str {
        "channels-last-max-pool"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Activations {
            values,
            n,
            height,
            width,
            channels,
        } = Activations::new(storage, layout)?;
        let window = Window {
            size: 3,
            stride: 2,
            padding: 1,
        };
        let slide = window.over(height, width)?;
        let shape = (n, slide.out_height, slide.out_width, channels);
        let mut out = vec![f32::NEG_INFINITY; n * slide.out_height * slide.out_width * channels];
        let mut largest = out.chunks_exact_mut(channels);
        for image in values.chunks_exact(height * width * channels) {
            for ((y, x), largest) in slide.positions().zip(&mut largest) {
                for row in (0..window.size).filter_map(|tap| slide.row(y, tap)) {
                    for column in (0..window.size).filter_map(|tap| slide.column(x, tap)) {
                        let start = (row * width + column) * channels;
                        for (largest, value) in largest.iter_mut().zip(&image[start..]) {
                            *largest = largest.max(*value);
                        }
                    }
                }
            }
        }
        Ok((CpuStorage::F32(out), shape.into()))
    }
}
