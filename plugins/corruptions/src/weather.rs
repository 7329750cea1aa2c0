//! Snow, frost and fog.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::blur::moved;
use crate::corruption::Level;
use crate::picture::Picture;
use crate::plasma::{plasma, side};

/// `[H, W, 1]` of N(mean, sigma).
pub(crate) fn normal_layer(
    image: &Picture,
    mean: f64,
    sigma: f64,
    random: &mut ChaCha8Rng,
) -> Picture {
    let draw = |_| {
        let draw: f64 = StandardNormal.sample(random);
        mean + sigma * draw
    };
    let values = (0..image.height * image.width).map(draw).collect();
    Picture::new(image.height, image.width, 1, values)
}

/// Flakes (noise above a threshold, enlarged, moved along a line that falls) on a picture that is bleached towards its
/// grey; the flakes are added a second time, turned by half a turn.
pub(crate) fn snow(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    // Mean and sigma of the noise, its enlargement, the threshold, radius and sigma of the movement, share of the picture.
    let (mean, sigma, enlarged, threshold, radius, blur, share): Flakes = level.of(
        [
            (0.1, 0.2, 1.0, 0.6, 8, 3.0, 0.95),
            (0.1, 0.2, 1.0, 0.5, 10, 4.0, 0.9),
            (0.15, 0.3, 1.75, 0.55, 10, 4.0, 0.9),
            (0.25, 0.3, 2.25, 0.6, 12, 6.0, 0.85),
            (0.3, 0.3, 1.25, 0.65, 14, 12.0, 0.8),
        ],
        [
            (0.1, 0.3, 3.0, 0.5, 10, 4.0, 0.8),
            (0.2, 0.3, 2.0, 0.5, 12, 4.0, 0.7),
            (0.55, 0.3, 4.0, 0.9, 12, 8.0, 0.7),
            (0.55, 0.3, 4.5, 0.85, 12, 8.0, 0.65),
            (0.55, 0.3, 2.5, 0.85, 12, 12.0, 0.55),
        ],
    );
    let layer = normal_layer(image, mean, sigma, random)
        .zoomed(enlarged)
        .map(|value| {
            if value < threshold {
                0.0
            } else {
                value.min(1.0)
            }
        });
    let layer = moved(&layer, radius, blur, random.random_range(-135.0..-45.0));
    let pixels = image.height * image.width;
    let mut snowed = image.clone();
    for (at, pixel) in snowed.values.chunks_exact_mut(3).enumerate() {
        let grey = 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
        let flakes = layer.values[at] + layer.values[pixels - 1 - at];
        for value in pixel {
            *value = share * *value + (1.0 - share) * value.max(grey * 1.5 + 0.5) + flakes;
        }
    }
    snowed
}

type Flakes = (f64, f64, f64, f64, usize, f64, f64);

/// `a` x + `b` ice.
///
/// The original lays pictures of frozen panes over the image. Here the ice is made: ridges of fractal noise are the edges
/// of crystals, another fractal says where the ice is thick, and its colour is a bluish white.
pub(crate) fn frost(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    let (a, b) = level.of(
        [
            (1.0, 0.2),
            (1.0, 0.3),
            (0.9, 0.4),
            (0.85, 0.4),
            (0.75, 0.45),
        ],
        [(1.0, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
    );
    const COLOUR: [f64; 3] = [0.80, 0.90, 1.0];
    let side = side(image.height, image.width);
    let crystals = plasma(side, 1.6, random);
    let thickness = plasma(side, 2.2, random);
    let mut frosted = image.clone();
    for (at, pixel) in frosted.values.chunks_exact_mut(3).enumerate() {
        let place = (at / image.width) * side + at % image.width;
        let ridge = 1.0 - (2.0 * crystals[place] - 1.0).abs();
        let ice = 0.25 + 0.75 * thickness[place] * ridge.sqrt();
        for (value, colour) in pixel.iter_mut().zip(COLOUR) {
            *value = a * *value + b * colour * ice;
        }
    }
    frosted
}

/// (x + `a` fractal noise of this `decay`) highest / (highest + `a`), highest the largest value of the picture.
pub(crate) fn fog(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    let (a, decay) = level.of(
        [(0.2, 3.0), (0.5, 3.0), (0.75, 2.5), (1.0, 2.0), (1.5, 1.75)],
        [(1.5, 2.0), (2.0, 2.0), (2.5, 1.7), (2.5, 1.5), (3.0, 1.4)],
    );
    let side = side(image.height, image.width);
    let map = plasma(side, decay, random);
    let highest = image.values.iter().copied().fold(0.0, f64::max);
    let mut fogged = image.clone();
    for (at, pixel) in fogged.values.chunks_exact_mut(3).enumerate() {
        let place = (at / image.width) * side + at % image.width;
        for value in pixel {
            *value = (*value + a * map[place]) * highest / (highest + a);
        }
    }
    fogged
}
