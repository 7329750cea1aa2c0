//! A sum that does not depend on the order of its terms.

/// Fractional bits that are kept.
const FRACTION: i32 = 50;
/// Terms beyond this count as this.
const LIMIT: f64 = 1e15;

/// A sum in fixed point: every term is rounded to a multiple of 2^-50 (9e-16) and held to ±1e15, and the rounded terms
/// are added exactly, in whatever order and grouping.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExactSum(i128);

impl ExactSum {
    /// Adds a term; one that is not a number counts as 0.
    pub fn add(&mut self, term: f64) {
        let scaled = term.clamp(-LIMIT, LIMIT) * f64::powi(2.0, FRACTION);
        self.0 += scaled.round_ties_even() as i128;
    }

    /// Adds the terms of another sum.
    pub fn merge(&mut self, other: Self) {
        self.0 += other.0;
    }

    /// The sum.
    pub fn value(self) -> f64 {
        self.0 as f64 / f64::powi(2.0, FRACTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_that_floating_point_would_lose_are_kept() {
        let mut sum = ExactSum::default();
        for term in [1e15, 0.125, -1e15, 0.25, f64::NAN] {
            sum.add(term);
        }
        assert_eq!(sum.value(), 0.375);
    }
}
