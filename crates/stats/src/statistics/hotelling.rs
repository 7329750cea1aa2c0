//! The distance of two means in units of the spread.

use driftline_core::Result;

use crate::moments::whitening;
use crate::permutation::Blocks;
use crate::{DriftTest, Moments, TestOptions, TestOutcome, Vectors};

/// Hotelling's two-sample test by permutation: the Mahalanobis distance `sqrt(Δᵀ Σ⁻¹ Δ)` of the means.
///
/// `Δ` is mean of the window minus mean of the baseline, `Σ` the covariance within the two (divisor `n + m`), with Ledoit-Wolf
/// shrinkage. It is computed from the covariance of all rows about their common mean, which no permutation changes and from which
/// `Σ` differs by a multiple of `Δ Δᵀ` (Sherman and Morrison), so the test is exact with fewer rows than dimensions as well.
///
/// | | |
/// | --- | --- |
/// | value | standard deviations along the direction in which the means differ, 0 upwards; `T² = value² n m (n + m - 2) / (n + m)²` without shrinkage |
/// | cost | one product of the window with itself, `n d²`, and `permutations` sums of at most about 50 blocks |
/// | not for | a change that leaves the mean where it is, as of the spread or of the shape |
///
/// Hotelling 1931; the shrinkage is that of Ledoit and Wolf 2004.
#[derive(Debug, Clone)]
pub struct Hotelling {
    rows: Vec<f32>,
    moments: Moments,
}

impl Hotelling {
    /// Keeps the baseline's rows and their moments.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        Self {
            rows: baseline.values().to_vec(),
            moments: Moments::of(baseline),
        }
    }
}

impl DriftTest for Hotelling {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.rows, self.moments.dim());
        baseline.same_space(&window)?;
        let blocks = match Blocks::new(baseline, window, options) {
            Ok(blocks) => blocks,
            Err(outcome) => return Ok(outcome),
        };
        let mut all = self.moments.clone();
        all.merge(&Moments::of(window))?;
        let (total, shrinkage) = all.ledoit_wolf();
        let between = blocks.between() * (1.0 - shrinkage);
        let null = blocks
            .times(&whitening(&total)?)
            .null_distribution(|difference| {
                let square: f64 = difference.iter().map(|value| value * value).sum();
                square / (1.0 - between * square).max(f64::EPSILON)
            });
        Ok(TestOutcome::Tested(null.result_of_square(options.alpha)))
    }
}
