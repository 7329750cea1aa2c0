//! Alerts from p-values, with a budget of false ones.

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Exponents of the calibrators: small ones gain from very small p-values, large ones from moderate ones.
const EXPONENTS: [f64; 3] = [0.2, 0.5, 0.8];

/// Alerts when the evidence for drift has grown enough, at whatever moment that is.
///
/// For each exponent `κ` of 0.2, 0.5 and 0.8 a window's p-value becomes an e-value `κ p^(κ-1)` (Vovk and Wang 2021), whose
/// expectation without drift is at most 1, and `M <- e (M + 1)` adds them up as in the e-detector of Shiryaev and Roberts. The
/// mean of e-detectors is one (Shin, Ramdas and Rinaldo 2024), and alerts at `windows` or above. Without drift the expected
/// number of windows before an alert is at least `windows`, for p-values that are valid given the past. An alert resets it.
///
/// With a budget of 730 windows, uniform p-values alert once in 1,470 windows, as measured. Constant p-values of 0.001, 0.006 and
/// 0.05 alert on window 2, 3 and 9, p-values of a weak drift (from Beta(0.5, 1), median 0.25) after 20 windows on average. The
/// p-value of a day's check, with 999 permutations and six statistics, is at least 0.006: a clear drift alerts on the third day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct AlertBudget {
    windows: f64,
    /// `M` of each exponent.
    evidence: [f64; EXPONENTS.len()],
}

impl AlertBudget {
    /// At most one false alert in `windows` windows, on average.
    ///
    /// # Errors
    /// `InvalidConfig` for less than one window.
    pub fn new(windows: f64) -> Result<Self> {
        if windows.is_finite() && windows >= 1.0 {
            return Ok(Self {
                windows,
                evidence: [0.0; EXPONENTS.len()],
            });
        }
        let message = format!("one false alert in {windows} windows is no budget");
        Err(Error::new(ErrorKind::InvalidConfig, "plan alerts", message)
            .remedy("say in how many windows one false alert may come, 1 or more"))
    }

    /// Takes in the p-value of the next window, 0 to 1; says whether to alert. A NaN is no window.
    pub fn update(&mut self, p_value: f64) -> bool {
        if p_value.is_nan() {
            return false;
        }
        let p = p_value.clamp(f64::MIN_POSITIVE, 1.0);
        for (evidence, exponent) in self.evidence.iter_mut().zip(EXPONENTS) {
            *evidence = exponent * p.powf(exponent - 1.0) * (*evidence + 1.0);
        }
        let alert = self.evidence() >= 1.0;
        if alert {
            self.evidence = [0.0; EXPONENTS.len()];
        }
        alert
    }

    /// The evidence so far, as a share of what alerts: 0 to below 1.
    pub fn evidence(&self) -> f64 {
        self.evidence.iter().sum::<f64>() / EXPONENTS.len() as f64 / self.windows
    }
}

/// Alerts when `count` windows in a row have a small p-value (`for: k windows`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Consecutive {
    count: u32,
    level: f64,
    run: u32,
}

impl Consecutive {
    /// Chooses the level so that windows without drift, independent of each other, alert once in `windows` on average.
    ///
    /// The mean number of trials up to the first run of `k` successes of probability `a` is `(1 - a^k) / ((1 - a) a^k)` (Feller
    /// 1968, XIII.7), which is solved for `a`.
    ///
    /// # Errors
    /// `InvalidConfig` for no window in a row, or fewer `windows` than that.
    pub fn new(count: u32, windows: f64) -> Result<Self> {
        if count == 0 || !windows.is_finite() || windows <= f64::from(count) {
            let message = format!("{count} windows in a row once in {windows}");
            return Err(
                Error::new(ErrorKind::InvalidConfig, "plan alerts", message).remedy(
                    "ask for at least 1 window in a row, and for more windows between false alerts",
                ),
            );
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..200 {
            let middle = f64::midpoint(low, high);
            if mean_wait(middle, count) > windows {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Self {
            count,
            level: low,
            run: 0,
        })
    }

    /// The p-value that counts as small.
    pub fn level(&self) -> f64 {
        self.level
    }

    /// Takes in the p-value of the next window; says whether to alert. An alert resets it, a NaN is no window.
    pub fn update(&mut self, p_value: f64) -> bool {
        if p_value.is_nan() {
            return false;
        }
        self.run = if p_value <= self.level {
            self.run + 1
        } else {
            0
        };
        let alert = self.run >= self.count;
        if alert {
            self.run = 0;
        }
        alert
    }
}

/// Mean number of trials up to the first run of `count` successes of probability `p`.
fn mean_wait(p: f64, count: u32) -> f64 {
    // The sum of `p^-i` for `i` up to `count`, which is the same without a difference of nearly equal numbers.
    (1..=count).map(|i| p.powf(-f64::from(i))).sum()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::multiple_testing::bonferroni;
    use crate::permutation::generator;

    /// Alerts in `windows` windows.
    fn alerts(windows: u64, mut alert: impl FnMut(u64) -> bool) -> u64 {
        (0..windows).filter(|window| alert(*window)).count() as u64
    }

    #[test]
    fn uniform_p_values_alert_at_most_once_in_the_budget() {
        const YEARS: u64 = 1_000;
        let mut random = generator(1, 0);
        let mut budget = AlertBudget::new(730.0).unwrap();
        let found = alerts(365 * YEARS, |_| budget.update(1.0 - random.random::<f64>()));
        println!("{found} alerts in {YEARS} years");
        // One in 1,470 windows: 248 are expected, with a standard error of 16, and the guarantee is 500.
        assert!((200..=300).contains(&found), "{found}");
        for count in [1, 2, 3] {
            let mut consecutive = Consecutive::new(count, 730.0).unwrap();
            let found = alerts(365 * YEARS, |_| consecutive.update(random.random()));
            // 500 are expected, with a standard error of 22.
            assert!((430..=570).contains(&found), "{count}: {found}");
        }
    }

    #[test]
    fn several_dependent_statistics_and_classes_alert_no_more() {
        const YEARS: u64 = 300;
        let mut random = generator(2, 0);
        let mut budget = AlertBudget::new(730.0).unwrap();
        let found = alerts(365 * YEARS, |_| {
            // Sixteen p-values of which each is the common one in half of the cases.
            let common = 1.0 - random.random::<f64>();
            let each: Vec<f64> = (0..16)
                .map(|_| {
                    if random.random() {
                        common
                    } else {
                        1.0 - random.random::<f64>()
                    }
                })
                .collect();
            budget.update(bonferroni(each).unwrap_or(1.0))
        });
        assert!(found <= YEARS / 2, "{found}");
    }

    #[test]
    fn a_clear_drift_alerts_on_the_third_window() {
        for (p, day) in [(0.001, 2), (0.006, 3), (0.05, 9)] {
            let mut budget = AlertBudget::new(730.0).unwrap();
            let found = (1..100).find(|_| budget.update(p));
            assert_eq!(found, Some(day), "{p}");
            assert_eq!(budget.evidence(), 0.0);
            assert!(!budget.update(p));
            assert!(budget.evidence() > 0.0 && budget.evidence() < 1.0);
        }
        let mut consecutive = Consecutive::new(2, 730.0).unwrap();
        assert!(
            (consecutive.level() - 0.0377).abs() < 1e-3,
            "{}",
            consecutive.level()
        );
        assert_eq!(
            [0.01, 0.01, 0.01].map(|p| consecutive.update(p)),
            [false, true, false]
        );
    }

    #[test]
    fn a_weak_drift_alerts_after_three_weeks() {
        const ALERTS: u64 = 2_000;
        let mut random = generator(3, 0);
        let mut budget = AlertBudget::new(730.0).unwrap();
        let (mut windows, mut found) = (0, 0);
        while found < ALERTS {
            // The square of a uniform number is from Beta(0.5, 1).
            let p = random.random::<f64>().powi(2);
            windows += 1;
            found += u64::from(budget.update(p));
        }
        // 20.3, with a standard error of about 0.3.
        let mean = windows as f64 / ALERTS as f64;
        assert!((19.0..=21.5).contains(&mean), "{mean}");
    }

    #[test]
    fn a_p_value_that_is_none_changes_nothing() {
        let mut budget = AlertBudget::new(730.0).unwrap();
        let mut consecutive = Consecutive::new(2, 730.0).unwrap();
        assert!(!budget.update(0.006) && !consecutive.update(0.006));
        let before = (budget, consecutive);
        assert!(!budget.update(f64::NAN) && !consecutive.update(f64::NAN));
        assert_eq!((budget, consecutive), before);
        assert!(consecutive.update(0.006));
        // Beyond both ends is at the ends.
        for (p, same) in [(f64::INFINITY, 1.0), (2.0, 1.0), (-1.0, 0.0)] {
            let [mut beyond, mut at_the_end] = [before.0; 2];
            assert_eq!(beyond.update(p), at_the_end.update(same));
            assert_eq!(beyond, at_the_end);
        }
        assert!(budget.update(f64::NEG_INFINITY));
    }

    #[test]
    fn budgets_that_are_none_are_refused() {
        for windows in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(AlertBudget::new(windows).is_err());
            assert!(Consecutive::new(2, windows).is_err());
        }
        assert!(Consecutive::new(0, 730.0).is_err());
    }
}
