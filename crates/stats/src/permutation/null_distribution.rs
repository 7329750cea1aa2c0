//! What a statistic is under permutation of the rows, and what follows from it.

use driftline_core::{Error, ErrorKind, Result};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::outcome::TestResult;

/// The normal quantile of 0.9, the power that [`TestResult::minimum_detectable_effect`] is about.
const POWER_QUANTILE: f64 = 1.281_551_565_544_600_5;

/// The value of a statistic beside its values under each permutation of the rows.
#[derive(Debug, Clone, PartialEq)]
pub struct NullDistribution {
    value: f64,
    /// In ascending order.
    permuted: Vec<f64>,
}

impl NullDistribution {
    /// The statistic of the window, and that of at least one permutation; a large statistic speaks for drift.
    pub fn new(value: f64, mut permuted: Vec<f64>) -> Self {
        permuted.sort_by(f64::total_cmp);
        Self { value, permuted }
    }

    /// The statistic of the window.
    pub fn value(&self) -> f64 {
        self.value
    }

    /// The share of permutations with at least the value of the window, which counts as one of them:
    /// `(1 + #{permuted >= value}) / (count + 1)`, above 0 and at most 1.
    ///
    /// Under no drift it is at most `a` in a share `a` of windows, for every size of window and baseline (Phipson and
    /// Smyth 2010).
    pub fn p_value(&self) -> f64 {
        let below = self
            .permuted
            .partition_point(|permuted| *permuted < self.value);
        (1 + self.permuted.len() - below) as f64 / (self.permuted.len() + 1) as f64
    }

    /// The mean over the permutations: the expected value without any drift at this number of rows.
    pub fn expected(&self) -> f64 {
        self.permuted.iter().sum::<f64>() / self.permuted.len() as f64
    }

    /// The critical value: a share `alpha` of the permutations reaches it.
    pub fn critical_value(&self, alpha: f64) -> f64 {
        let last = self.permuted.len().saturating_sub(1);
        let at = ((1.0 - alpha) * self.permuted.len() as f64) as usize;
        self.permuted.get(at.min(last)).copied().unwrap_or(f64::NAN)
    }

    fn variance(&self) -> f64 {
        let mean = self.expected();
        let squares = self.permuted.iter().map(|value| (value - mean).powi(2));
        squares.sum::<f64>() / self.permuted.len() as f64
    }

    /// How much drift must add to the expected value to be seen with power 0.9, where it only moves the statistic.
    pub fn minimum_detectable_shift(&self, alpha: f64) -> f64 {
        let above = self.critical_value(alpha) - self.expected();
        (above + POWER_QUANTILE * self.variance().sqrt()).max(0.0)
    }

    /// As [`minimum_detectable_shift`](Self::minimum_detectable_shift) for a squared distance of means, whose spread grows with the drift: a
    /// noncentral chi-squared sum with mean `e + s` and variance `v (1 + 2 s / e)` for a shift `s`.
    pub fn minimum_detectable_square(&self, alpha: f64) -> f64 {
        let (mean, variance) = (self.expected(), self.variance());
        let above = (self.critical_value(alpha) - mean).max(0.0);
        if mean <= 0.0 {
            return above;
        }
        // above + z sqrt(v (1 + 2 s / e)) = s, solved for s.
        let half = above + POWER_QUANTILE.powi(2) * variance / mean;
        half + (half * half - above * above + POWER_QUANTILE.powi(2) * variance).sqrt()
    }

    /// The result of which drift adds to the value what chance does not.
    pub fn result(&self, alpha: f64) -> TestResult {
        TestResult {
            value: self.value,
            expected: self.expected(),
            effect: (self.value - self.expected()).max(0.0),
            p_value: self.p_value(),
            minimum_detectable_effect: self.minimum_detectable_shift(alpha),
        }
    }

    /// The result of a squared distance of means, given as the distance.
    pub fn result_of_square(&self, alpha: f64) -> TestResult {
        TestResult {
            value: self.value.max(0.0).sqrt(),
            expected: self.expected().max(0.0).sqrt(),
            effect: (self.value - self.expected()).max(0.0).sqrt(),
            p_value: self.p_value(),
            minimum_detectable_effect: self.minimum_detectable_square(alpha).sqrt(),
        }
    }
}

/// How much drift must add to a statistic with this standard deviation to be seen with power 0.9, where it is about normal.
pub(crate) fn minimum_detectable_normal_shift(deviation: f64, alpha: f64) -> Result<f64> {
    let normal = Normal::new(0.0, 1.0).map_err(|cause| {
        Error::new(
            ErrorKind::Internal,
            "test a window",
            "no normal distribution",
        )
        .because(cause)
    })?;
    Ok((normal.inverse_cdf(1.0 - alpha) + POWER_QUANTILE).max(0.0) * deviation)
}
