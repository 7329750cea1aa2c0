//! The distance of two distributions as the distances of their rows tell it.

use driftline_core::Result;

use crate::division::check;
use crate::gram::{Sums, sums};
use crate::sides::Sides;
use crate::{Answer, DriftTest, Finding, TestOptions, Vectors};

/// Energy distance, tested by permutation: `2 E|x - y| - E|x - x'| - E|y - y'|`.
///
/// The expectations are means over all pairs, those of a row with itself included (the V-statistic): never below 0, and
/// above it without drift, by as much as `expected` says.
///
/// | | |
/// | --- | --- |
/// | value | the unit of the rows' distances, 0 upwards; the square of `scipy.stats.energy_distance` for one component |
/// | cost | as [`Mmd`](crate::Mmd): `(m + n)² d / 2` products in f64, and `n² / 2` additions for each division |
/// | not for | baselines far above 10,000 rows, and components of different units, of which the largest decides |
///
/// Székely and Rizzo 2004 and 2013.
#[derive(Debug, Clone)]
pub struct Energy {
    dim: usize,
    rows: Vec<f32>,
}

impl Energy {
    /// Keeps the baseline's rows.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        Self {
            dim: baseline.dim(),
            rows: baseline.values().to_vec(),
        }
    }
}

impl DriftTest for Energy {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<Answer> {
        check(options)?;
        let baseline = Vectors::checked(&self.rows, self.dim);
        baseline.same_space(&window)?;
        let sides = match Sides::new(baseline, window, 1, options) {
            Ok(sides) => sides,
            Err(answer) => return Ok(answer),
        };
        let (observed, by_chance) = sums(&sides, |squares| {
            for value in squares {
                *value = value.sqrt();
            }
        });
        let (m, n) = (sides.baseline() as f64, sides.window() as f64);
        let energy = |sums: &Sums| {
            let within = sums.baseline / (m * m) + sums.window / (n * n);
            // Rounding can leave a tiny negative sum for equal sides.
            (2.0 * sums.between / (m * n) - within).max(0.0)
        };
        let null = sides.null(energy(&observed), by_chance.iter().map(energy).collect());
        // It is the squared distance of two means, in a space that has one axis for each pair of points.
        Ok(Answer::Finding(Finding {
            detectable: null.detectable_square(options.alpha),
            ..null.finding(options.alpha)
        }))
    }
}
