//! An image of f64 in 0..=1 (not cut off in between), its filters and samples.

/// Values `[H, W, C]`.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) channels: usize,
    pub(crate) values: Vec<f64>,
}

/// What lies outside of an image.
#[derive(Clone, Copy)]
pub(crate) enum Border {
    /// The nearest value: aaa|abc|ccc.
    Nearest,
    /// The mirror image, with the edge twice: cba|abc|cba.
    Symmetric,
    /// The mirror image, with the edge once: cb|abc|ba.
    Reflect,
}

impl Border {
    /// The place inside of `0..length` that `at` stands for.
    pub(crate) fn place(self, at: isize, length: usize) -> usize {
        let n = length as isize;
        let folded = match self {
            _ if n == 1 => 0,
            Self::Nearest => at.clamp(0, n - 1),
            Self::Symmetric => {
                let at = at.rem_euclid(2 * n);
                at.min(2 * n - 1 - at)
            }
            Self::Reflect => {
                let at = at.rem_euclid(2 * (n - 1));
                at.min(2 * (n - 1) - at)
            }
        };
        folded as usize
    }
}

impl Picture {
    pub(crate) fn new(height: usize, width: usize, channels: usize, values: Vec<f64>) -> Self {
        debug_assert_eq!(values.len(), height * width * channels);
        Self {
            height,
            width,
            channels,
            values,
        }
    }

    /// RGB from u8.
    pub(crate) fn from_bytes(height: usize, width: usize, bytes: &[u8]) -> Self {
        let values = bytes.iter().map(|value| f64::from(*value) / 255.0);
        Self::new(height, width, 3, values.collect())
    }

    /// As u8: cut off at 0 and 1, and the rest after the point cut off.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = u8> {
        // Dividing by 255 and multiplying again gives every whole number back.
        self.values
            .iter()
            .map(|value| (value.clamp(0.0, 1.0) * 255.0) as u8)
    }

    /// As u8 into `image`.
    pub(crate) fn write(&self, image: &mut [u8]) {
        for (to, from) in image.iter_mut().zip(self.bytes()) {
            *to = from;
        }
    }

    /// Every value changed by `change`.
    pub(crate) fn map(&self, change: impl FnMut(f64) -> f64) -> Self {
        let values = self.values.iter().copied().map(change).collect();
        Self { values, ..*self }
    }

    /// The value at a place.
    pub(crate) fn at(&self, y: usize, x: usize, channel: usize) -> f64 {
        self.values[(y * self.width + x) * self.channels + channel]
    }

    /// Between four pixels, linearly, at (y, x).
    pub(crate) fn sample(&self, y: f64, x: f64, border: Border, pixel: &mut Vec<f64>) {
        let (top, left) = (y.floor(), x.floor());
        let (dy, dx) = (y - top, x - left);
        let rows = [0, 1].map(|i| border.place(top as isize + i, self.height));
        let columns = [0, 1].map(|i| border.place(left as isize + i, self.width));
        for channel in 0..self.channels {
            let value = |i: usize, j: usize| self.at(rows[i], columns[j], channel);
            let upper = value(0, 0) * (1.0 - dx) + value(0, 1) * dx;
            let lower = value(1, 0) * (1.0 - dx) + value(1, 1) * dx;
            pixel.push(upper * (1.0 - dy) + lower * dy);
        }
    }

    /// A picture of the same size sampled at `place(y, x)`.
    pub(crate) fn warped(
        &self,
        border: Border,
        mut place: impl FnMut(usize, usize) -> (f64, f64),
    ) -> Self {
        let mut values = Vec::with_capacity(self.values.len());
        for y in 0..self.height {
            for x in 0..self.width {
                let (y, x) = place(y, x);
                self.sample(y, x, border, &mut values);
            }
        }
        Self { values, ..*self }
    }

    /// Gaussian filter with standard deviation `sigma` in pixels, cut off at `truncate` of them; as `gaussian_filter` of
    /// SciPy.
    pub(crate) fn gaussian(&self, sigma: f64, truncate: f64, border: Border) -> Self {
        let radius = (truncate * sigma + 0.5) as isize;
        if radius == 0 {
            return self.clone();
        }
        let weights: Vec<f64> = (-radius..=radius)
            .map(|x| (-0.5 * (x as f64 / sigma).powi(2)).exp())
            .collect();
        let sum: f64 = weights.iter().sum();
        let taps: Vec<(isize, f64)> = (-radius..=radius)
            .zip(weights.iter().map(|weight| weight / sum))
            .collect();
        let rows: Vec<_> = taps.iter().map(|(at, weight)| (*at, 0, *weight)).collect();
        let columns: Vec<_> = taps.iter().map(|(at, weight)| (0, *at, *weight)).collect();
        self.correlate(&rows, border).correlate(&columns, border)
    }

    /// Each pixel becomes the sum of (dy, dx, weight) of its neighbours.
    pub(crate) fn correlate(&self, taps: &[(isize, isize, f64)], border: Border) -> Self {
        let mut out = Self {
            values: vec![0.0; self.values.len()],
            ..*self
        };
        let line = self.width * self.channels;
        for (dy, dx, weight) in taps {
            let columns: Vec<usize> = (0..self.width)
                .map(|x| border.place(x as isize + dx, self.width) * self.channels)
                .collect();
            for y in 0..self.height {
                let from =
                    &self.values[border.place(y as isize + dy, self.height) * line..][..line];
                let to = &mut out.values[y * line..][..line];
                for (to, column) in to.chunks_exact_mut(self.channels).zip(&columns) {
                    let from = &from[*column..][..self.channels];
                    for (to, from) in to.iter_mut().zip(from) {
                        *to += weight * from;
                    }
                }
            }
        }
        out
    }

    /// The middle of the picture, enlarged by `factor` to the size it had; linear, as `zoom` of SciPy with order 1.
    pub(crate) fn zoomed(&self, factor: f64) -> Self {
        // Along one side: the first pixel of the middle, its length, and that of the enlarged middle.
        let side = |length: usize| {
            let inner = (length as f64 / factor).ceil() as usize;
            // Half to even, as Python rounds.
            let outer = (inner as f64 * factor).round_ties_even() as usize;
            ((length - inner) / 2, inner, outer.max(length))
        };
        let (rows, columns) = (side(self.height), side(self.width));
        let place = |at: usize, length: usize, (first, inner, outer): (usize, usize, usize)| {
            let at = at + (outer - length) / 2;
            let step = match outer {
                1 => 0.0,
                outer => (inner - 1) as f64 / (outer - 1) as f64,
            };
            first as f64 + (at as f64 * step).min((inner - 1) as f64)
        };
        self.warped(Border::Nearest, |y, x| {
            (place(y, self.height, rows), place(x, self.width, columns))
        })
    }
}
