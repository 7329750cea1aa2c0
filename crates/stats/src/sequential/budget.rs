//! Pages from p-values, with a budget of false ones.

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// Exponents of the calibrators: small ones gain from very small p-values, large ones from moderate ones.
const EXPONENTS: [f64; 3] = [0.1, 0.2, 0.4];

/// Pages when the evidence for drift has grown enough, at whatever moment that is.
///
/// Each window's p-value becomes an e-value, the mean of `κ p^(κ-1)` over three exponents (Vovk and Wang 2021), whose
/// expectation without drift is at most 1. They are added up as in the e-detector of Shiryaev and Roberts,
/// `M <- e (M + 1)` (Shin, Ramdas and Rinaldo 2024), and `M >= windows` pages. Without drift the expected number of windows
/// before a page is at least `windows`, for p-values that are valid given the past. A page starts anew.
///
/// The p-value of a day's check, with 999 permutations and six statistics, is at least 0.006: a clear drift pages on the third
/// day.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PageBudget {
    windows: f64,
    evidence: f64,
}

impl PageBudget {
    /// At most one false page in `windows` windows, on average.
    ///
    /// # Errors
    /// `InvalidConfig` for less than one window.
    pub fn new(windows: f64) -> Result<Self> {
        if windows.is_finite() && windows >= 1.0 {
            return Ok(Self {
                windows,
                evidence: 0.0,
            });
        }
        let message = format!("one false page in {windows} windows is no budget");
        Err(Error::new(ErrorKind::InvalidConfig, "plan pages", message)
            .remedy("say in how many windows one false page may come, 1 or more"))
    }

    /// Takes in the p-value of the next window, above 0 and at most 1; says whether to page.
    pub fn update(&mut self, p_value: f64) -> bool {
        let p = p_value.clamp(f64::MIN_POSITIVE, 1.0);
        let each = EXPONENTS
            .iter()
            .map(|exponent| exponent * p.powf(exponent - 1.0));
        let e = each.sum::<f64>() / EXPONENTS.len() as f64;
        self.evidence = e * (self.evidence + 1.0);
        let page = self.evidence >= self.windows;
        if page {
            self.evidence = 0.0;
        }
        page
    }

    /// The evidence so far, as a share of what pages: 0 to below 1.
    pub fn evidence(&self) -> f64 {
        self.evidence / self.windows
    }
}

/// Pages when `count` windows in a row have a small p-value (`for: k windows`).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Consecutive {
    count: u32,
    level: f64,
    run: u32,
}

impl Consecutive {
    /// Chooses the level so that windows without drift, independent of each other, page once in `windows` on average.
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
                Error::new(ErrorKind::InvalidConfig, "plan pages", message).remedy(
                    "ask for at least 1 window in a row, and for more windows between false pages",
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

    /// Takes in the p-value of the next window; says whether to page. A page starts anew.
    pub fn update(&mut self, p_value: f64) -> bool {
        self.run = if p_value <= self.level {
            self.run + 1
        } else {
            0
        };
        let page = self.run >= self.count;
        if page {
            self.run = 0;
        }
        page
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
    use crate::division::random;
    use crate::multiple::combined;

    /// Pages in `windows` windows.
    fn pages(windows: u64, mut page: impl FnMut(u64) -> bool) -> u64 {
        (0..windows).filter(|window| page(*window)).count() as u64
    }

    #[test]
    fn uniform_p_values_page_at_most_once_in_the_budget() {
        const YEARS: u64 = 1_000;
        let mut random = random(1, 0);
        let mut budget = PageBudget::new(730.0).unwrap();
        let found = pages(365 * YEARS, |_| budget.update(1.0 - random.random::<f64>()));
        println!("{found} pages in {YEARS} years");
        assert!(found <= YEARS / 2 + 60, "{found}");
        for count in [1, 2, 3] {
            let mut consecutive = Consecutive::new(count, 730.0).unwrap();
            let found = pages(365 * YEARS, |_| consecutive.update(random.random()));
            // 500 are expected, with a standard error of 22.
            assert!((430..=570).contains(&found), "{count}: {found}");
        }
    }

    #[test]
    fn several_dependent_statistics_and_classes_page_no_more() {
        const YEARS: u64 = 300;
        let mut random = random(2, 0);
        let mut budget = PageBudget::new(730.0).unwrap();
        let found = pages(365 * YEARS, |_| {
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
            budget.update(combined(each).unwrap_or(1.0))
        });
        assert!(found <= YEARS / 2, "{found}");
    }

    #[test]
    fn a_clear_drift_pages_on_the_third_window() {
        let mut budget = PageBudget::new(730.0).unwrap();
        let days: Vec<bool> = (0..4).map(|_| budget.update(0.006)).collect();
        assert_eq!(days, [false, false, true, false]);
        assert!(budget.evidence() > 0.0 && budget.evidence() < 1.0);
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
    fn budgets_that_are_none_are_refused() {
        for windows in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(PageBudget::new(windows).is_err());
            assert!(Consecutive::new(2, windows).is_err());
        }
        assert!(Consecutive::new(0, 730.0).is_err());
    }
}
