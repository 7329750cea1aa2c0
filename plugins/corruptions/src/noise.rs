//! Gaussian, shot, impulse and speckle noise.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

use crate::corruption::Level;
use crate::picture::Picture;

fn normal(random: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(random)
}

/// x + N(0, sigma).
pub(crate) fn gaussian(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    let sigma = level.of(
        [0.04, 0.06, 0.08, 0.09, 0.10],
        [0.08, 0.12, 0.18, 0.26, 0.38],
    );
    image.map(|value| value + sigma * normal(random))
}

/// Poisson(x photons) / photons.
pub(crate) fn shot(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    let photons = level.of(
        [500.0, 250.0, 100.0, 75.0, 50.0],
        [60.0, 25.0, 12.0, 5.0, 3.0],
    );
    image.map(|value| match Poisson::new(value * photons) {
        Ok(count) => count.sample(random) / photons,
        // No photon from black.
        Err(_) => 0.0,
    })
}

/// A share of the values becomes 0 or 1, each as often.
pub(crate) fn impulse(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    let share = level.of(
        [0.01, 0.02, 0.03, 0.05, 0.07],
        [0.03, 0.06, 0.09, 0.17, 0.27],
    );
    image.map(|value| {
        let draw: f64 = random.random();
        match draw {
            draw if draw < share / 2.0 => 0.0,
            draw if draw < share => 1.0,
            _ => value,
        }
    })
}

/// x + x N(0, sigma).
pub(crate) fn speckle(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    let sigma = level.of(
        [0.06, 0.10, 0.12, 0.16, 0.20],
        [0.15, 0.20, 0.35, 0.45, 0.60],
    );
    image.map(|value| value + value * sigma * normal(random))
}
