//! Control charts over a series of numbers, one for each window or row.
//!
//! The numbers are standardised: less their mean without drift, in units of their standard deviation without drift. Each chart
//! says with every number whether it alarms, and starts anew after an alarm. An infinity alarms, a NaN is passed over. The mean
//! number of numbers up to a false alarm (ARL) is for independent normal ones.

use serde::{Deserialize, Serialize};

/// Two-sided CUSUM (E. S. Page 1954): `S <- max(0, S + x - k)`, and the same downwards; an alarm above `h`.
///
/// With `k = 0.5` and `h = 5` the ARL is 465.4, and a shift by one standard deviation is seen after 10.38 numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Cusum {
    allowance: f64,
    limit: f64,
    up: f64,
    down: f64,
}

impl Cusum {
    /// `allowance` `k` is half the shift to see, `limit` is `h`; both in standard deviations.
    pub fn new(allowance: f64, limit: f64) -> Self {
        Self {
            allowance,
            limit,
            up: 0.0,
            down: 0.0,
        }
    }

    /// Takes in the next number; says whether it alarms.
    pub fn update(&mut self, x: f64) -> bool {
        if x.is_nan() {
            return false;
        }
        self.up = (self.up + x - self.allowance).max(0.0);
        self.down = (self.down - x - self.allowance).max(0.0);
        let alarm = self.up > self.limit || self.down > self.limit;
        if alarm {
            (self.up, self.down) = (0.0, 0.0);
        }
        alarm
    }
}

/// Numbers that the mean of a series is learnt from before [`PageHinkley`] looks for a change.
const WARM_UP: f64 = 30.0;

/// Two-sided Page-Hinkley (Hinkley 1971): the sum of `x - mean - δ` above its least value so far by more than `λ`, and the same
/// downwards, with the running mean of the series itself: for a series whose mean is not known.
///
/// The first 30 numbers, and those after an alarm, only make the mean: a change within them is not seen. With `δ = 0.1` and
/// `λ = 15` the ARL on numbers of standard deviation 1 is 564, and a shift by 1 after 200 of them is seen after 14.5 more.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PageHinkley {
    allowance: f64,
    limit: f64,
    count: f64,
    mean: f64,
    /// How far the sum is above its least value, and below its greatest.
    up: f64,
    down: f64,
}

impl PageHinkley {
    /// `allowance` is `δ`, the change to pass over, `limit` is `λ`; both in units of the series.
    pub fn new(allowance: f64, limit: f64) -> Self {
        Self {
            allowance,
            limit,
            count: 0.0,
            mean: 0.0,
            up: 0.0,
            down: 0.0,
        }
    }

    /// Takes in the next number; says whether it alarms.
    pub fn update(&mut self, x: f64) -> bool {
        if x.is_nan() {
            return false;
        }
        let from_mean = x - self.mean;
        self.count += 1.0;
        self.mean += from_mean / self.count;
        if self.count > WARM_UP {
            self.up = (self.up + x - self.mean - self.allowance).max(0.0);
            self.down = (self.down - x + self.mean - self.allowance).max(0.0);
        }
        // An infinity would stay in the mean for ever.
        let alarm = from_mean.is_infinite() || self.up > self.limit || self.down > self.limit;
        if alarm {
            *self = Self::new(self.allowance, self.limit);
        }
        alarm
    }
}

/// Exponentially weighted moving average (Roberts 1959): `z <- λ x + (1 - λ) z`; an alarm where `|z|` is above `L` of its standard
/// deviations.
///
/// With `λ = 0.2` and `L = 2.962` the ARL is about 500.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ewma {
    weight: f64,
    limit: f64,
    average: f64,
    /// `(1 - λ)^2t`
    forgotten: f64,
}

impl Ewma {
    /// `weight` is `λ`, above 0 and at most 1; `limit` is `L`.
    pub fn new(weight: f64, limit: f64) -> Self {
        Self {
            weight,
            limit,
            average: 0.0,
            forgotten: 1.0,
        }
    }

    /// Takes in the next number; says whether it alarms.
    pub fn update(&mut self, x: f64) -> bool {
        if x.is_nan() {
            return false;
        }
        let kept = 1.0 - self.weight;
        self.average = self.weight * x + kept * self.average;
        self.forgotten *= kept * kept;
        let variance = self.weight / (2.0 - self.weight) * (1.0 - self.forgotten);
        let alarm = self.average.abs() > self.limit * variance.sqrt();
        if alarm {
            *self = Self::new(self.weight, self.limit);
        }
        alarm
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;
    use crate::permutation::generator;

    /// Mean number of normal numbers around `mean` up to an alarm, over `alarms` of them.
    fn run_length(mut update: impl FnMut(f64) -> bool, mean: f64, alarms: u32) -> f64 {
        let mut random = generator(3, 0);
        let (mut found, mut count) = (0, 0);
        while found < alarms {
            let normal: f64 = StandardNormal.sample(&mut random);
            count += 1;
            found += u32::from(update(mean + normal));
        }
        f64::from(count) / f64::from(alarms)
    }

    #[test]
    fn run_lengths_are_those_of_the_literature() {
        let mut cusum = Cusum::new(0.5, 5.0);
        // Of 2,000 alarms the mean has a standard error of 2.2 %.
        let found = run_length(|x| cusum.update(x), 0.0, 2_000);
        assert!((found / 465.4 - 1.0).abs() < 0.07, "{found}");
        let found = run_length(|x| cusum.update(x), 1.0, 2_000);
        assert!((found / 10.38 - 1.0).abs() < 0.05, "{found}");
        let mut ewma = Ewma::new(0.2, 2.962);
        let found = run_length(|x| ewma.update(x), 0.0, 2_000);
        assert!((found / 500.0 - 1.0).abs() < 0.07, "{found}");
    }

    #[test]
    fn page_hinkley_sees_either_direction_and_not_the_first_numbers() {
        for sign in [1.0, -1.0] {
            let mut chart = PageHinkley::new(0.1, 10.0);
            // The mean that the series has is far from 0, and the first number is far from the mean.
            assert!(!chart.update(sign * 90.0));
            assert!((0..29).all(|_| !chart.update(sign * 100.0)));
            let steady = |i| sign * (100.0 + if i % 2 == 0 { 0.5 } else { -0.5 });
            assert!((0..1_000).all(|i| !chart.update(steady(i))));
            let after = (0..100).position(|_| chart.update(sign * 101.5));
            assert!(after.is_some_and(|after| after < 15), "{after:?}");
        }
    }

    #[test]
    fn a_nan_changes_nothing_and_an_infinity_alarms_once() {
        fn check<T: PartialEq + Copy + std::fmt::Debug>(
            fresh: T,
            update: impl Fn(&mut T, f64) -> bool,
        ) {
            for bad in [f64::INFINITY, f64::NEG_INFINITY] {
                let mut chart = fresh;
                assert!(!update(&mut chart, 0.5));
                let before = chart;
                assert!(!update(&mut chart, f64::NAN));
                assert_eq!(chart, before);
                assert!(update(&mut chart, bad));
                assert_eq!(chart, fresh);
            }
        }
        check(Cusum::new(0.5, 5.0), Cusum::update);
        check(Ewma::new(0.2, 2.962), Ewma::update);
        check(PageHinkley::new(0.1, 15.0), PageHinkley::update);
        // The distance of two finite numbers may be infinite.
        let mut chart = PageHinkley::new(0.1, 15.0);
        assert!(!chart.update(f64::MAX) && chart.update(f64::MIN));
        assert_eq!(chart, PageHinkley::new(0.1, 15.0));
    }
}
