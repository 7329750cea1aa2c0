//! Distances between two histograms over the same bins.

use std::fmt;
use std::str::FromStr;

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// A distance between the shares of a baseline and of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Distance {
    /// Jensen-Shannon distance, see [`jsd`].
    Jsd,
    /// Population stability index, see [`psi`].
    Psi,
    /// Kullback-Leibler divergence of the window from the baseline, see [`kl`].
    Kl,
    /// Hellinger distance, see [`hellinger`].
    Hellinger,
    /// Total variation, see [`total_variation`].
    #[serde(rename = "total-variation")]
    TotalVariation,
}

impl Distance {
    /// Every distance.
    pub const ALL: [Self; 5] = [
        Self::Jsd,
        Self::Psi,
        Self::Kl,
        Self::Hellinger,
        Self::TotalVariation,
    ];

    /// Name on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Jsd => "jsd",
            Self::Psi => "psi",
            Self::Kl => "kl",
            Self::Hellinger => "hellinger",
            Self::TotalVariation => "total-variation",
        }
    }

    /// Its value between the counts of a baseline and of a window.
    ///
    /// # Errors
    /// `InvalidData` when the histograms have different bins or one has no rows.
    pub fn value(self, baseline: &[u64], window: &[u64]) -> Result<f64> {
        let rows = check(baseline, window)?;
        let counts = baseline.iter().zip(window);
        let counts = counts.map(|(b, w)| (*b as f64, *w as f64));
        Ok(self.of_counts(counts, baseline.len(), rows))
    }

    /// Its value between counts of the same bins that add up to these rows of baseline and window.
    #[inline(always)]
    pub(crate) fn of_counts(
        self,
        counts: impl Iterator<Item = (f64, f64)>,
        bins: usize,
        (m, n): (f64, f64),
    ) -> f64 {
        let more = bins as f64;
        match self {
            Self::Jsd => divergence(counts.map(|(b, w)| (b / m, w / n))).sqrt(),
            Self::Hellinger => {
                let shares = counts.map(|(b, w)| (b / m, w / n));
                // The halved sum of (sqrt p - sqrt q)^2 is 1 - sum sqrt(p q) without the cancellation.
                let squares = shares.map(|(p, q)| (p.sqrt() - q.sqrt()).powi(2));
                (squares.sum::<f64>() / 2.0).sqrt()
            }
            Self::TotalVariation => counts.map(|(b, w)| (b / m - w / n).abs()).sum::<f64>() / 2.0,
            Self::Psi | Self::Kl => {
                let smoothed =
                    counts.map(|(b, w)| ((b + 1.0) / (m + more), (w + 1.0) / (n + more)));
                if self == Self::Psi {
                    smoothed.map(|(p, q)| (q - p) * (q / p).ln()).sum()
                } else {
                    let terms = smoothed.map(|(p, q)| q * (q / p).ln());
                    terms.sum::<f64>().max(0.0)
                }
            }
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Distance {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|distance| distance.name() == text)
            .ok_or_else(|| {
                let names = Self::ALL.map(Self::name).join(", ");
                Error::new(
                    ErrorKind::InvalidConfig,
                    "look up",
                    format!("there is no distance named `{text}`"),
                )
                .remedy(format!("available: {names}"))
            })
    }
}

/// The rows of both, which have the same bins.
pub(crate) fn check(baseline: &[u64], window: &[u64]) -> Result<(f64, f64)> {
    if baseline.len() != window.len() {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "compare histograms",
            format!(
                "the histograms have {} and {} bins",
                baseline.len(),
                window.len()
            ),
        ));
    }
    let totals = (baseline.iter().sum::<u64>(), window.iter().sum::<u64>());
    if totals.0 == 0 || totals.1 == 0 {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "compare histograms",
            "a histogram without rows cannot be compared",
        ));
    }
    Ok((totals.0 as f64, totals.1 as f64))
}

/// Jensen-Shannon distance: `sqrt((KL(p||m) + KL(q||m)) / 2)` with `m = (p + q) / 2`, natural logarithm and
/// `0 ln 0 = 0`; 0 to `sqrt(ln 2) = 0.83255`.
///
/// The definition is that of `scipy.spatial.distance.jensenshannon` with its default base.
pub fn jsd(baseline: &[u64], window: &[u64]) -> Result<f64> {
    Distance::Jsd.value(baseline, window)
}

/// The Jensen-Shannon divergence, the square of [`jsd`], without what few rows add to it on average:
/// `(k - 1) / 8 (1 / n + 1 / m)` nats for `k` bins, see [`noise_floor`]. Below 0 where chance alone gives more.
pub fn bias_corrected_jsd(baseline: &[u64], window: &[u64]) -> Result<f64> {
    let rows = [window, baseline].map(|counts| counts.iter().sum());
    let bias = noise_floor(baseline.len(), rows[0], rows[1]).powi(2);
    Ok(jsd(baseline, window)?.powi(2) - bias)
}

/// Jensen-Shannon divergence of shares, in nats.
#[inline(always)]
fn divergence(shares: impl Iterator<Item = (f64, f64)>) -> f64 {
    let part = |share: f64, mean: f64| {
        if share > 0.0 {
            share * (share / mean).ln()
        } else {
            0.0
        }
    };
    let twice: f64 = shares
        .map(|(p, q)| {
            let mean = (p + q) / 2.0;
            part(p, mean) + part(q, mean)
        })
        .sum();
    // Rounding can leave a tiny negative sum for equal shares.
    (twice / 2.0).max(0.0)
}

/// Hellinger distance: `sqrt(1 - sum sqrt(p q))`; 0 to 1.
pub fn hellinger(baseline: &[u64], window: &[u64]) -> Result<f64> {
    Distance::Hellinger.value(baseline, window)
}

/// Total variation: `sum |p - q| / 2`, the share of rows that would have to change their bin; 0 to 1.
pub fn total_variation(baseline: &[u64], window: &[u64]) -> Result<f64> {
    Distance::TotalVariation.value(baseline, window)
}

/// Population stability index: `sum (q - p) ln(q / p)` after 1 is added to every bin of both histograms, as Fiddler
/// does; 0 upwards.
pub fn psi(baseline: &[u64], window: &[u64]) -> Result<f64> {
    Distance::Psi.value(baseline, window)
}

/// Kullback-Leibler divergence of the window from the baseline: `sum q ln(q / p)` in nats after 1 is added to every bin of
/// both histograms, as for [`psi`], which is this in both directions; 0 upwards.
pub fn kl(baseline: &[u64], window: &[u64]) -> Result<f64> {
    Distance::Kl.value(baseline, window)
}

/// The Jensen-Shannon distance to expect without any drift: `sqrt((k - 1) / 8 (1 / n + 1 / m))` for `k` bins, `n` rows
/// in the window and `m` in the baseline (the first term of the expansion of the expected divergence, in nats).
pub fn noise_floor(bins: usize, window_rows: u64, baseline_rows: u64) -> f64 {
    let inverse = 1.0 / window_rows as f64 + 1.0 / baseline_rows as f64;
    (bins.saturating_sub(1) as f64 / 8.0 * inverse).sqrt()
}

/// The probability of such a Jensen-Shannon distance without any drift: `8 jsd² / (1 / n + 1 / m)` has nearly the chi-squared
/// distribution with `k - 1` degrees of freedom for `k` bins, `n` rows in the window and `m` in the baseline (the divergence
/// is an eighth of a chi-squared distance where the shares are close; Menéndez et al. 1997).
///
/// It needs about 5 rows of the window in every bin; the permutation of the rows, as in
/// [`PredictionShift`](crate::PredictionShift), holds for any number.
pub fn jsd_p_value(jsd: f64, bins: usize, window_rows: u64, baseline_rows: u64) -> f64 {
    let inverse = 1.0 / window_rows as f64 + 1.0 / baseline_rows as f64;
    match ChiSquared::new(bins.saturating_sub(1) as f64) {
        Ok(chi_squared) => chi_squared.sf(8.0 * jsd * jsd / inverse),
        // One bin is always the same.
        Err(_) => 1.0,
    }
}

/// How many [noise floors](noise_floor) a distance is whose [`jsd_p_value`] is `alpha`, over `bins` bins.
pub fn drift_factor(bins: usize, alpha: f64) -> f64 {
    let degrees = bins.saturating_sub(1) as f64;
    match ChiSquared::new(degrees) {
        Ok(chi_squared) => (chi_squared.inverse_cdf(1.0 - alpha) / degrees).sqrt(),
        Err(_) => f64::INFINITY,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn check_values_of_scipy_and_fiddler() {
        let baseline = [40, 60, 30, 50, 20];
        for (b, w, expected_jsd, expected_psi) in [
            (
                baseline,
                [10, 80, 30, 20, 60],
                0.265_410_544_2,
                0.558_121_768_5,
            ),
            (
                [100, 0, 0, 0, 0],
                [0, 0, 0, 0, 100],
                0.832_554_611_2,
                8.790_705_746_4,
            ),
            (baseline, [400, 600, 300, 500, 200], 0.0, 7.612_8e-5),
        ] {
            assert!((jsd(&b, &w).unwrap() - expected_jsd).abs() < 1e-10);
            // The last check value is given to five digits.
            let tolerance = if expected_psi < 1e-3 { 1e-9 } else { 1e-10 };
            assert!((psi(&b, &w).unwrap() - expected_psi).abs() < tolerance);
        }
    }

    #[test]
    fn the_noise_floor_is_what_simulation_gave() {
        assert!((noise_floor(5, 1_000, 10_000) - 0.0235).abs() < 1e-4);
        assert!((noise_floor(10, 1_000, 50_000) - 0.0339).abs() < 1e-4);
    }

    #[test]
    fn empty_and_unequal_histograms_are_refused() {
        assert!(jsd(&[0, 0], &[1, 2]).is_err());
        assert!(psi(&[1, 2], &[0, 0]).is_err());
        assert!(jsd(&[1], &[1, 2]).is_err());
    }

    proptest! {
        #[test]
        fn jsd_is_symmetric_bounded_and_zero_on_equal_shares(
            pairs in proptest::collection::vec((0_u64..1000, 0_u64..1000), 2..20),
            factor in 1_u64..50,
        ) {
            let (mut a, mut b): (Vec<u64>, Vec<u64>) = pairs.into_iter().unzip();
            a[0] += 1;
            b[0] += 1;
            let forward = jsd(&a, &b).unwrap();
            prop_assert!((forward - jsd(&b, &a).unwrap()).abs() < 1e-12);
            prop_assert!((0.0..=2.0_f64.ln().sqrt() + 1e-12).contains(&forward));
            let scaled: Vec<u64> = a.iter().map(|count| count * factor).collect();
            prop_assert!(jsd(&a, &scaled).unwrap() < 1e-7);
            prop_assert!(psi(&a, &b).unwrap() >= 0.0);
        }
    }
}
