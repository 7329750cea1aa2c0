//! Elastic deformation.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::corruption::Level;
use crate::picture::{Border, Picture};

/// Three points move by up to `reach` pixels and take the picture with them, affinely; then every pixel is taken from a
/// place beside it, given by uniform noise times `strength`, filtered with a Gaussian of `sigma` pixels.
pub(crate) fn elastic(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture {
    // The originals give them as parts of a side: 32 in CIFAR-10-C, 244 in ImageNet-C.
    let of = |side: f64, (strength, sigma, reach): (f64, f64, f64)| {
        (side * strength, side * sigma, side * reach)
    };
    let (strength, sigma, reach) = level.of(
        [
            (0.0, 0.0, 0.08),
            (0.05, 0.2, 0.07),
            (0.08, 0.06, 0.06),
            (0.1, 0.04, 0.05),
            (0.1, 0.03, 0.03),
        ]
        .map(|part| of(32.0, part)),
        [
            (2.0, 0.7, 0.1),
            (2.0, 0.08, 0.2),
            (0.05, 0.01, 0.02),
            (0.07, 0.01, 0.02),
            (0.12, 0.01, 0.02),
        ]
        .map(|part| of(244.0, part)),
    );
    let warped = affine(image, reach, random);
    let mut shifts = || {
        let draw = (0..image.height * image.width).map(|_| random.random_range(-1.0..1.0));
        Picture::new(image.height, image.width, 1, draw.collect())
            .gaussian(sigma, 3.0, Border::Symmetric)
            .map(|value| value * strength)
    };
    let (dx, dy) = (shifts(), shifts());
    warped.warped(Border::Symmetric, |y, x| {
        (y as f64 + dy.at(y, x, 0), x as f64 + dx.at(y, x, 0))
    })
}

fn affine(image: &Picture, reach: f64, random: &mut ChaCha8Rng) -> Picture {
    let (y, x) = ((image.height / 2) as f64, (image.width / 2) as f64);
    let third = (image.height.min(image.width) / 3).max(1) as f64;
    let points = [
        (x + third, y + third),
        (x + third, y - third),
        (x - third, y - third),
    ];
    let to = points.map(|(x, y)| {
        (
            x + random.random_range(-reach..reach),
            y + random.random_range(-reach..reach),
        )
    });
    // The two sides of the triangle after the move, which span the plane: a pixel's part of each gives where it was.
    let side = |p: [(f64, f64); 3], i: usize| (p[i].0 - p[1].0, p[i].1 - p[1].1);
    let (a, b) = (side(to, 0), side(to, 2));
    let determinant = a.0 * b.1 - a.1 * b.0;
    if determinant.abs() < 1e-6 {
        return image.clone();
    }
    let (from_a, from_b) = (side(points, 0), side(points, 2));
    image.warped(Border::Reflect, |y, x| {
        let (dx, dy) = (x as f64 - to[1].0, y as f64 - to[1].1);
        let along_a = (dx * b.1 - dy * b.0) / determinant;
        let along_b = (dy * a.0 - dx * a.1) / determinant;
        (
            points[1].1 + along_a * from_a.1 + along_b * from_b.1,
            points[1].0 + along_a * from_a.0 + along_b * from_b.0,
        )
    })
}
