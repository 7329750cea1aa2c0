//! Fractal noise by diamonds and squares.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// A map of `side` x `side` values from 0 to 1, `side` a power of two, that joins itself at its edges. The noise of each
/// level is `decay` squared times smaller than that of the level before.
pub(crate) fn plasma(side: usize, decay: f64, random: &mut ChaCha8Rng) -> Vec<f64> {
    let mut map = vec![0.0; side * side];
    let mut wobble = 100.0;
    let mut step = side;
    while step >= 2 {
        let half = step / 2;
        let at = |map: &[f64], y: usize, x: usize| map[(y % side) * side + x % side];
        let noise = |random: &mut ChaCha8Rng| wobble * random.random_range(-wobble..wobble);
        for y in (0..side).step_by(step) {
            for x in (0..side).step_by(step) {
                let sum = at(&map, y, x)
                    + at(&map, y + step, x)
                    + at(&map, y, x + step)
                    + at(&map, y + step, x + step);
                map[(y + half) * side + x + half] = sum / 4.0 + noise(random);
            }
        }
        for y in (0..side).step_by(step) {
            for x in (0..side).step_by(step) {
                let (corner, middle) = (at(&map, y, x), at(&map, y + half, x + half));
                let above = at(&map, y + side - half, x + half);
                let left = at(&map, y + half, x + side - half);
                let right = at(&map, y, x + step);
                let below = at(&map, y + step, x);
                map[y * side + x + half] = (corner + right + middle + above) / 4.0 + noise(random);
                map[(y + half) * side + x] = (corner + below + middle + left) / 4.0 + noise(random);
            }
        }
        step = half;
        wobble /= decay;
    }
    let low = map.iter().copied().fold(f64::INFINITY, f64::min);
    let high = map.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let range = (high - low).max(f64::MIN_POSITIVE);
    for value in &mut map {
        *value = (*value - low) / range;
    }
    map
}

/// The side of a map that covers `height` x `width`.
pub(crate) fn side(height: usize, width: usize) -> usize {
    height.max(width).next_power_of_two()
}
