//! The measurement, in a few passes over an image.

use driftline_core::{ImageShape, ImageView};

use crate::COUNT;

/// Side of JPEG's blocks.
const BLOCK: usize = 8;

/// Median of the absolute value of a standard normal number.
const NORMAL_MEDIAN: f32 = 0.674_489_8;

/// Standard deviation of a `[1 -2 1; -2 4 -2; 1 -2 1]` mask over noise of standard deviation 1.
const MASK_DEVIATION: f32 = 6.0;

/// The properties of each image, f32 `[N, COUNT]`, all finite.
pub fn measure(images: ImageView<'_>) -> Vec<f32> {
    let mut scratch = Scratch::new(images.shape());
    let mut out = Vec::with_capacity(images.len() * COUNT);
    for image in images.images() {
        out.extend(scratch.measure(image));
    }
    out
}

/// Buffers of one image.
struct Scratch {
    width: usize,
    /// 0..=255
    luma: Vec<i32>,
    /// How often each absolute value of the noise mask occurs.
    noise: Vec<u32>,
}

impl Scratch {
    fn new(shape: ImageShape) -> Self {
        Self {
            width: shape.width,
            luma: vec![0; shape.height * shape.width],
            noise: vec![0; 8 * 255 + 1],
        }
    }

    fn measure(&mut self, image: &[u8]) -> [f32; COUNT] {
        let colour = Colour::of(image, &mut self.luma);
        let (mean, deviation) = mean_and_deviation(&self.luma);
        let (laplacian, noise) = self.second_differences();
        [
            mean / 255.0,
            deviation / 255.0,
            laplacian.ln_1p(),
            noise,
            colour.saturation,
            colour.red,
            colour.blue,
            entropy(&self.luma),
            self.blockiness(),
        ]
    }

    /// Variance of the Laplacian, and the noise.
    fn second_differences(&mut self) -> (f32, f32) {
        self.noise.fill(0);
        let (mut sum, mut squares, mut count) = (0_i64, 0_i64, 0_i64);
        let rows: Vec<&[i32]> = self.luma.chunks_exact(self.width).collect();
        for three in rows.windows(3) {
            let (above, here, below) = (three[0], three[1], three[2]);
            for x in 1..self.width.saturating_sub(1) {
                let cross = above[x] + below[x] + here[x - 1] + here[x + 1];
                let corners = above[x - 1] + above[x + 1] + below[x - 1] + below[x + 1];
                let laplacian = cross - 4 * here[x];
                sum += i64::from(laplacian);
                squares += i64::from(laplacian * laplacian);
                count += 1;
                let mask = corners - 2 * cross + 4 * here[x];
                self.noise[mask.unsigned_abs() as usize] += 1;
            }
        }
        if count == 0 {
            return (0.0, 0.0);
        }
        let (sum, squares, n) = (sum as f64, squares as f64, count as f64);
        let variance = (squares / n - (sum / n).powi(2)).max(0.0);
        let median = median(&self.noise, count as f32);
        (variance as f32, median / NORMAL_MEDIAN / MASK_DEVIATION)
    }

    /// Steps at the edges of blocks against those elsewhere.
    fn blockiness(&self) -> f32 {
        let (mut edges, mut others) = ((0_i64, 0_i64), (0_i64, 0_i64));
        let mut add = |at: usize, step: i32| {
            let sum = if at.is_multiple_of(BLOCK) {
                &mut edges
            } else {
                &mut others
            };
            sum.0 += i64::from(step.abs());
            sum.1 += 1;
        };
        let rows: Vec<&[i32]> = self.luma.chunks_exact(self.width).collect();
        for row in &rows {
            for x in 1..self.width {
                add(x, row[x] - row[x - 1]);
            }
        }
        for (y, two) in rows.windows(2).enumerate() {
            for (above, here) in two[0].iter().zip(two[1]) {
                add(y + 1, here - above);
            }
        }
        // Half a step of luma on both sides, so that a flat image has a ratio.
        let mean = |sum: (i64, i64)| (sum.0 as f32 / sum.1.max(1) as f32) + 0.5;
        if edges.1 == 0 {
            return 0.0;
        }
        (mean(edges) / mean(others)).ln()
    }
}

/// Means over the colours.
struct Colour {
    saturation: f32,
    red: f32,
    blue: f32,
}

impl Colour {
    /// Also writes the luma.
    fn of(image: &[u8], luma: &mut [i32]) -> Self {
        let mut sums = [0_u64; 3];
        let mut saturation = 0.0;
        for (pixel, luma) in image.as_chunks::<3>().0.iter().zip(luma.iter_mut()) {
            let [r, g, b] = pixel.map(u32::from);
            for (sum, value) in sums.iter_mut().zip([r, g, b]) {
                *sum += u64::from(value);
            }
            // 16 bits after the point.
            *luma = ((19_595 * r + 38_470 * g + 7_471 * b + 32_768) >> 16) as i32;
            let (most, least) = (r.max(g).max(b), r.min(g).min(b));
            saturation += (most - least) as f32 / most.max(1) as f32;
        }
        let all = sums.iter().sum::<u64>() as f32;
        // A black image has no colour: equal shares.
        let share = |sum: u64| {
            if all > 0.0 {
                sum as f32 / all
            } else {
                1.0 / 3.0
            }
        };
        Self {
            saturation: saturation / luma.len().max(1) as f32,
            red: share(sums[0]),
            blue: share(sums[2]),
        }
    }
}

fn mean_and_deviation(luma: &[i32]) -> (f32, f32) {
    let n = luma.len().max(1) as f64;
    let sum = luma.iter().map(|value| i64::from(*value)).sum::<i64>() as f64;
    let squares = luma
        .iter()
        .map(|value| i64::from(value * value))
        .sum::<i64>() as f64;
    let mean = sum / n;
    (
        mean as f32,
        (squares / n - mean * mean).max(0.0).sqrt() as f32,
    )
}

fn entropy(luma: &[i32]) -> f32 {
    let mut counts = [0_u32; 256];
    for value in luma {
        counts[*value as usize & 255] += 1;
    }
    let n = luma.len().max(1) as f32;
    let used = counts.iter().filter(|count| **count > 0);
    let sum: f32 = used
        .map(|count| *count as f32 * (*count as f32).log2())
        .sum();
    (n.log2() - sum / n).max(0.0)
}

/// The median of whole numbers, of which `counts` says how often each occurs, as if each were spread evenly over its unit.
fn median(counts: &[u32], all: f32) -> f32 {
    let mut below = 0.0;
    for (value, count) in counts.iter().enumerate() {
        let count = *count as f32;
        if below + count >= all / 2.0 {
            let start = (value as f32 - 0.5).max(0.0);
            let end = value as f32 + 0.5;
            return start + (end - start) * (all / 2.0 - below) / count.max(1.0);
        }
        below += count;
    }
    0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PROPERTIES;

    const SIDE: usize = 32;

    fn measured(height: usize, width: usize, pixels: &[u8]) -> Vec<f32> {
        measure(ImageView::new(ImageShape { height, width }, pixels).unwrap())
    }

    /// Properties of the image with these pixels.
    fn properties(pixel: impl Fn(usize, usize) -> [u8; 3]) -> [f32; COUNT] {
        let all = 0..SIDE * SIDE;
        let pixels: Vec<u8> = all.flat_map(|i| pixel(i / SIDE, i % SIDE)).collect();
        measured(SIDE, SIDE, &pixels).try_into().unwrap()
    }

    fn at(name: &str) -> usize {
        PROPERTIES.iter().position(|p| p.name == name).unwrap()
    }

    /// A smooth picture with some structure.
    fn scene(y: usize, x: usize) -> [u8; 3] {
        let wave = |scale: f32| 100.0 + 60.0 * ((x as f32 + 0.7 * y as f32) / scale).sin();
        [wave(3.0) as u8, wave(4.0) as u8, wave(5.0) as u8]
    }

    /// Noise of 16 levels to both sides, the same each time.
    fn hash(y: usize, x: usize) -> i32 {
        let mixed = (y as u32 * 7_919 + x as u32).wrapping_mul(2_654_435_761);
        ((mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519) >> 27) as i32 - 16
    }

    #[test]
    fn a_grey_image_is_known() {
        let grey = properties(|_, _| [51; 3]);
        for (name, expected) in [
            ("brightness", 0.2),
            ("contrast", 0.0),
            ("sharpness", 0.0),
            ("saturation", 0.0),
            ("red", 1.0 / 3.0),
            ("blue", 1.0 / 3.0),
            ("entropy", 0.0),
            ("blockiness", 0.0),
        ] {
            assert!((grey[at(name)] - expected).abs() < 1e-6, "{name}: {grey:?}");
        }
        let black = properties(|_, _| [0; 3]);
        assert!(black.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn two_levels_and_a_colour_are_known() {
        let halves = properties(|_, x| [if x < SIDE / 2 { 0 } else { 200 }; 3]);
        assert!((halves[at("brightness")] - 100.0 / 255.0).abs() < 1e-6);
        assert!((halves[at("contrast")] - 100.0 / 255.0).abs() < 1e-6);
        assert!((halves[at("entropy")] - 1.0).abs() < 1e-5);
        let red = properties(|_, _| [200, 50, 0]);
        assert!((red[at("saturation")] - 1.0).abs() < 1e-6);
        assert!((red[at("red")] - 0.8).abs() < 1e-6 && red[at("blue")] == 0.0);
    }

    #[test]
    fn each_moves_with_what_it_is_named_after() {
        let clean = properties(scene);
        let noisy = properties(|y, x| {
            scene(y, x).map(|value| (i32::from(value) + hash(y, x)).clamp(0, 255) as u8)
        });
        // A uniform number of 32 levels has a standard deviation of 9.2.
        let noise = noisy[at("noise")];
        assert!((6.0..12.0).contains(&noise), "{noise}");
        assert!(clean[at("noise")] < 3.0, "{clean:?}");
        assert!(noisy[at("sharpness")] > clean[at("sharpness")] + 1.0);
        let blocks = properties(|y, x| scene(y / BLOCK * BLOCK, x / BLOCK * BLOCK));
        assert!(blocks[at("blockiness")] > 1.0, "{blocks:?}");
        let dark = properties(|y, x| scene(y, x).map(|value| value / 2));
        assert!((dark[at("brightness")] / clean[at("brightness")] - 0.5).abs() < 0.02);
    }

    #[test]
    fn images_without_an_inside_have_properties_too() {
        for (height, width) in [(1, 1), (1, 9), (2, 3), (8, 1)] {
            let pixels: Vec<u8> = (0..height * width * 3)
                .map(|i| (i * 91 % 251) as u8)
                .collect();
            let values = measured(height, width, &pixels);
            assert!(values.iter().all(|value| value.is_finite()), "{values:?}");
        }
        assert!(measured(4, 4, &[]).is_empty());
    }
}
