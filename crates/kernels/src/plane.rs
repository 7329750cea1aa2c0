//! Planes of activations, and windows that slide over them.

use std::ops::Range;

use driftline_core::{Error, ErrorKind, Result};

use crate::resnet18::Conv;

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
    pub(crate) fn of(conv: Conv<'_>) -> Self {
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

/// Where a convolution reads and writes; planes lie side by side, image by image.
#[derive(Clone, Copy)]
pub(crate) struct Planes {
    pub(crate) input: *const f32,
    pub(crate) output: *mut f32,
    /// Added before the ReLU.
    pub(crate) shortcut: Option<*const f32>,
}

impl Planes {
    /// The planes behind so many values of the input and of the output.
    ///
    /// # Safety
    /// There are that many.
    pub(crate) unsafe fn from(self, input: usize, output: usize) -> Self {
        // SAFETY: the caller's.
        unsafe {
            Self {
                input: self.input.add(input),
                output: self.output.add(output),
                shortcut: self.shortcut.map(|shortcut| shortcut.add(output)),
            }
        }
    }
}

/// Memory that a convolution works in.
#[derive(Clone, Copy)]
pub(crate) struct Scratch {
    /// Used by turns, see [`Share::turn`](crate::team::Share::turn).
    pub(crate) factors: [*mut f32; 2],
    pub(crate) sums: *mut f32,
    /// As many zeros as the most channels.
    pub(crate) zeros: *const f32,
}
