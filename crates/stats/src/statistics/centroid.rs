//! The distance of the two means.

use driftline_core::Result;

use crate::permutation::Blocks;
use crate::{DriftTest, TestOptions, TestOutcome, TestResult, Vectors};

/// A mean whose squared length is at most this share of the other's is 0 but for rounding.
const ROUNDED: f64 = 1e-26;

/// How the distance of two means is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CentroidDistance {
    /// Length of the difference.
    Euclidean,
    /// 1 minus the cosine of the angle between them, as seen from the origin.
    Cosine,
}

/// Distance of the means, tested by permutation.
///
/// | | |
/// | --- | --- |
/// | value | Euclidean: the unit of the rows, 0 upwards; cosine: 0 to 2, 1 if one mean is 0 and 0 if both are |
/// | cost | `permutations` sums of at most about 50 blocks |
/// | not for | components of different spread, of which the largest decides: see [`Hotelling`](crate::Hotelling); cosine: means near the origin, and a mean that only grows |
///
/// `scipy.spatial.distance.euclidean` and `cosine` of the means.
#[derive(Debug, Clone)]
pub struct Centroid {
    dim: usize,
    rows: Vec<f32>,
    distance: CentroidDistance,
}

impl Centroid {
    /// Keeps the baseline's rows.
    pub fn fit(baseline: Vectors<'_>, distance: CentroidDistance) -> Self {
        Self {
            dim: baseline.dim(),
            rows: baseline.values().to_vec(),
            distance,
        }
    }
}

impl DriftTest for Centroid {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.rows, self.dim);
        baseline.same_space(&window)?;
        let blocks = match Blocks::new(baseline, window, options) {
            Ok(blocks) => blocks,
            Err(outcome) => return Ok(outcome),
        };
        Ok(TestOutcome::Tested(match self.distance {
            CentroidDistance::Euclidean => blocks
                .null_distribution(|difference| difference.iter().map(|value| value * value).sum())
                .result_of_square(options.alpha),
            CentroidDistance::Cosine => {
                // The angle of the sums is that of the means.
                let null =
                    blocks.null_distribution_of_sums(|window| cosine(blocks.split_sums(window)));
                // For a small angle it is half its square; where only large ones show, smaller ones than this do already.
                TestResult {
                    minimum_detectable_effect: null.minimum_detectable_square(options.alpha),
                    ..null.result(options.alpha)
                }
            }
        }))
    }
}

/// The cosine distance of two vectors, given as pairs of their components; a zero is at a right angle to all others.
fn cosine(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let squares = pairs.clone().map(|(a, b)| (a * a, b * b));
    let (aa, bb) = squares.fold((0.0, 0.0), |sum, square| {
        (sum.0 + square.0, sum.1 + square.1)
    });
    if aa == 0.0 && bb == 0.0 {
        return 0.0;
    }
    if aa.min(bb) <= ROUNDED * aa.max(bb) {
        return 1.0;
    }
    // Half the squared distance of the unit vectors: `1 - cos` loses the digits of a small angle.
    let (a_length, b_length) = (aa.sqrt(), bb.sqrt());
    let squares = pairs.map(|(a, b)| (a / a_length - b / b_length).powi(2));
    (squares.sum::<f64>() / 2.0).min(2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_angle_of_zero_is_defined() {
        for (a, b, expected) in [
            ([0.0, 0.0], [0.0, 0.0], 0.0),
            ([0.0, 0.0], [0.0, 2.0], 1.0),
            ([0.0, 1e-17], [0.0, 2.0], 1.0),
            ([3.0, 0.0], [0.0, 2.0], 1.0),
            ([3.0, 0.0], [-1.0, 0.0], 2.0),
            ([0.1, 0.7], [0.1, 0.7], 0.0),
        ] {
            assert_eq!(cosine(a.into_iter().zip(b)), expected);
        }
    }
}
