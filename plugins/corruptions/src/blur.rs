//! Gaussian, defocus, glass, motion and zoom blur.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::corruption::Level;
use crate::picture::{Border, Picture};

/// Standard deviations after which a Gaussian is cut off.
const TRUNCATE: f64 = 4.0;

/// A Gaussian of `sigma` pixels.
pub(crate) fn gaussian(image: &Picture, level: Level, _: &mut ChaCha8Rng) -> Picture {
    let sigma = level.of([0.4, 0.6, 0.7, 0.8, 1.0], [1.0, 2.0, 3.0, 4.0, 6.0]);
    image.gaussian(sigma, TRUNCATE, Border::Nearest)
}

/// Correlation with a disk of `radius` pixels whose edge is softened by a Gaussian of `alias` pixels, 3 x 3 (5 x 5 for a
/// radius above 8).
pub(crate) fn defocus(image: &Picture, level: Level, _: &mut ChaCha8Rng) -> Picture {
    let (radius, alias): (f64, f64) = level.of(
        [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1.0, 0.2), (1.5, 0.1)],
        [(3.0, 0.1), (4.0, 0.5), (6.0, 0.5), (8.0, 0.5), (10.0, 0.5)],
    );
    let (reach, soft) = if radius <= 8.0 {
        (8, 1)
    } else {
        (radius as isize, 2)
    };
    let side = 2 * reach as usize + 1;
    let inside = |y: isize, x: isize| ((x * x + y * y) as f64) <= radius * radius;
    let places = || (-reach..=reach).flat_map(move |y| (-reach..=reach).map(move |x| (y, x)));
    let disk: Vec<f64> = places().map(|(y, x)| f64::from(inside(y, x))).collect();
    let sum: f64 = disk.iter().sum();
    let weights: Vec<f64> = (-soft..=soft)
        .map(|x: isize| (-0.5 * (x as f64 / alias).powi(2)).exp())
        .collect();
    let norm: f64 = weights.iter().sum();
    let taps = |vertical: bool| -> Vec<_> {
        (-soft..=soft)
            .zip(&weights)
            .map(|(at, weight)| match vertical {
                true => (at, 0, weight / norm),
                false => (0, at, weight / norm),
            })
            .collect()
    };
    let disk = Picture::new(side, side, 1, disk)
        .map(|value| value / sum)
        .correlate(&taps(true), Border::Reflect)
        .correlate(&taps(false), Border::Reflect);
    let kernel: Vec<_> = places()
        .zip(&disk.values)
        .filter(|(_, weight)| **weight != 0.0)
        .map(|((y, x), weight)| (y, x, *weight))
        .collect();
    image.correlate(&kernel, Border::Reflect)
}

/// Blur, pixels swapped with a neighbour at most `reach` away, `rounds` times, and blur again.
pub(crate) fn glass(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    let (sigma, reach, rounds): (f64, i32, usize) = level.of(
        [
            (0.05, 1, 1),
            (0.25, 1, 1),
            (0.4, 1, 1),
            (0.25, 1, 2),
            (0.4, 1, 2),
        ],
        [
            (0.7, 1, 2),
            (0.9, 2, 1),
            (1.0, 2, 3),
            (1.1, 3, 2),
            (1.5, 4, 2),
        ],
    );
    let blurred = image.gaussian(sigma, TRUNCATE, Border::Nearest);
    let values = blurred.bytes().map(|value| f64::from(value) / 255.0);
    let mut shuffled = Picture {
        values: values.collect(),
        ..blurred
    };
    let (height, width) = (image.height as isize, image.width as isize);
    let inner = reach as isize;
    for _ in 0..rounds {
        for y in ((inner + 1)..=(height - inner)).rev() {
            for x in ((inner + 1)..=(width - inner)).rev() {
                let (dx, dy) = (
                    random.random_range(-reach..reach) as isize,
                    random.random_range(-reach..reach) as isize,
                );
                let index = |y: isize, x: isize| {
                    // A picture smaller than the reach has fewer neighbours.
                    let (y, x) = (y.clamp(0, height - 1), x.clamp(0, width - 1));
                    (y * width + x) as usize * 3
                };
                let (here, there) = (index(y, x), index(y + dy, x + dx));
                for channel in 0..3 {
                    shuffled.values.swap(here + channel, there + channel);
                }
            }
        }
    }
    shuffled.gaussian(sigma, TRUNCATE, Border::Nearest)
}

/// The mean of the picture moved along a line at `angle` degrees, `2 radius + 1` steps, weighted by one half of a Gaussian
/// of `sigma` steps.
pub(crate) fn moved(image: &Picture, radius: usize, sigma: f64, angle: f64) -> Picture {
    let steps = 2 * radius + 1;
    let weights: Vec<f64> = (0..steps)
        .map(|step| (-0.5 * (step as f64 / sigma).powi(2)).exp())
        .collect();
    let sum: f64 = weights.iter().sum();
    let (sine, cosine) = angle.to_radians().sin_cos();
    let mut taps = Vec::with_capacity(steps);
    for (step, weight) in weights.iter().enumerate() {
        let place = |part: f64| (step as f64 * part - 0.5).ceil() as isize;
        let (dy, dx) = (place(sine), place(cosine));
        if dy.unsigned_abs() >= image.height || dx.unsigned_abs() >= image.width {
            break;
        }
        taps.push((dy, dx, weight / sum));
    }
    image.correlate(&taps, Border::Nearest)
}

/// [`moved`] at an angle from -45 to 45 degrees.
pub(crate) fn motion(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    let (radius, sigma) = level.of(
        [(6, 1.0), (6, 1.5), (6, 2.0), (8, 2.0), (9, 2.5)],
        [(10, 3.0), (15, 5.0), (15, 8.0), (15, 12.0), (20, 15.0)],
    );
    moved(image, radius, sigma, random.random_range(-45.0..45.0))
}

/// The mean of the picture and of its enlargements from 1 to below `end` in steps.
pub(crate) fn zoom(image: &Picture, level: Level, _: &mut ChaCha8Rng) -> Picture {
    let (end, step): (f64, f64) = level.of(
        [
            (1.06, 0.01),
            (1.11, 0.01),
            (1.16, 0.01),
            (1.21, 0.01),
            (1.26, 0.01),
        ],
        [
            (1.11, 0.01),
            (1.16, 0.01),
            (1.21, 0.02),
            (1.26, 0.02),
            (1.31, 0.03),
        ],
    );
    // As many as `numpy.arange` has, whose rounding sometimes takes the end in.
    let count = ((end - 1.0) / step).ceil() as usize;
    let mut sum = image.clone();
    for i in 0..count {
        let enlarged = image.zoomed(1.0 + i as f64 * step);
        for (sum, value) in sum.values.iter_mut().zip(&enlarged.values) {
            *sum += value;
        }
    }
    sum.map(|value| value / (count + 1) as f64)
}
