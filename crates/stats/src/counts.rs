//! Two-sample tests over histograms, from counts alone.
//!
//! If baseline and window come from one distribution, every way to divide their rows among the two is equally likely. A
//! division leaves a window with counts of the multivariate hypergeometric distribution, which is drawn bin by bin from the
//! counts alone: no row is needed, and an hour takes as long as a year.

use driftline_core::{Error, ErrorKind, Result};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Hypergeometric};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::division::{DIVISIONS_AT_ONCE, random};
use crate::{Answer, Distance, Finding, Null, TestOptions};

/// The distance between `baseline` and `window` (rows in each bin) beside what `divisions` divisions of their rows give, from
/// `seed`.
///
/// # Errors
/// `InvalidData` when the histograms have different bins or one has no rows.
pub fn permutations(
    distance: Distance,
    baseline: &[u64],
    window: &[u64],
    divisions: usize,
    seed: u64,
) -> Result<Null> {
    let statistic = |baseline: &[u64], window: &[u64]| distance.value(baseline, window);
    null(statistic, baseline, window, divisions, seed)
}

/// What a distance between two histograms says, with the p-value by permutation.
pub(crate) fn answer(
    distance: Distance,
    baseline: &[u64],
    window: &[u64],
    options: &TestOptions,
) -> Result<Answer> {
    let [m, n] = [baseline, window].map(|counts| counts.iter().sum::<u64>() as usize);
    if let Some(answer) = too_few(m, n, options.alpha) {
        return Ok(answer);
    }
    // Near no drift all of them are squared distances of the shares, or the root of one: few rows add the same to the square
    // whatever the drift.
    let root = !matches!(distance, Distance::Psi | Distance::Kl);
    let square = |baseline: &[u64], window: &[u64]| {
        let value = distance.value(baseline, window)?;
        Ok(if root { value * value } else { value })
    };
    let null = null(square, baseline, window, options.divisions, options.seed)?;
    Ok(Answer::Finding(if root {
        null.finding_of_square(options.alpha)
    } else {
        Finding {
            detectable: null.detectable_square(options.alpha),
            ..null.finding(options.alpha)
        }
    }))
}

/// The answer that there are too few rows, where they can be divided in fewer ways than `1 / alpha`.
pub(crate) fn too_few(baseline: usize, window: usize, alpha: f64) -> Option<Answer> {
    let (all, few) = (baseline + window, baseline.min(window));
    let ways = (0..few).map(|taken| (all - taken) as f64 / (taken + 1) as f64);
    let (rows, needed) = if few == 0 {
        (0, 1)
    } else {
        (all, (1.0 / alpha).ceil() as usize)
    };
    (few == 0 || ways.product::<f64>() < 1.0 / alpha)
        .then_some(Answer::NotEnoughRows { rows, needed })
}

fn null(
    statistic: impl Fn(&[u64], &[u64]) -> Result<f64> + Sync,
    baseline: &[u64],
    window: &[u64],
    divisions: usize,
    seed: u64,
) -> Result<Null> {
    let value = statistic(baseline, window)?;
    let pooled: Vec<u64> = baseline.iter().zip(window).map(|(b, w)| b + w).collect();
    let rows = window.iter().sum();
    let by_chance = (0..divisions)
        .into_par_iter()
        .with_min_len(DIVISIONS_AT_ONCE)
        .map(|division| {
            let window = draw(&pooled, rows, &mut random(seed, division as u64))?;
            let baseline: Vec<u64> = pooled.iter().zip(&window).map(|(p, w)| p - w).collect();
            statistic(&baseline, &window)
        });
    Ok(Null::new(value, by_chance.collect::<Result<_>>()?))
}

/// What the G-test says of two histograms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GTest {
    /// `2 sum O ln(O / E)` over both histograms.
    pub statistic: f64,
    /// Bins that were left, less one.
    pub degrees: usize,
    /// The share of the chi-squared distribution at or above the statistic.
    pub p_value: f64,
}

/// Rows that a bin of either histogram is expected to have at least, for the chi-squared distribution to hold.
const FEWEST_EXPECTED: f64 = 5.0;

/// The G-test (likelihood ratio) of two histograms having the same shares. From the smallest on, bins are merged until they
/// expect 5 rows in either histogram, what is left with the last; one bin says nothing (`p_value` 1).
///
/// The statistic is that of `scipy.stats.chi2_contingency(lambda_="log-likelihood", correction=False)`. The p-value is an
/// approximation that permutation does not need: see [`permutations`].
///
/// # Errors
/// `InvalidData` when the histograms have different bins or one has no rows.
pub fn g_test(baseline: &[u64], window: &[u64]) -> Result<GTest> {
    let (m, n) = crate::distance::check(baseline, window)?;
    let smaller = m.min(n) / (m + n);
    let mut bins: Vec<[u64; 2]> = baseline.iter().zip(window).map(|(b, w)| [*b, *w]).collect();
    bins.sort_by_key(|[b, w]| b + w);
    let mut kept: Vec<[u64; 2]> = Vec::new();
    let mut merged = [0, 0];
    for [b, w] in bins {
        merged = [merged[0] + b, merged[1] + w];
        if (merged[0] + merged[1]) as f64 * smaller >= FEWEST_EXPECTED {
            kept.push(std::mem::take(&mut merged));
        }
    }
    match kept.last_mut() {
        Some(last) => *last = [last[0] + merged[0], last[1] + merged[1]],
        None => kept.push(merged),
    }
    let term = |rows: u64, all: u64, share: f64| {
        if rows == 0 {
            return 0.0;
        }
        rows as f64 * (rows as f64 / (all as f64 * share)).ln()
    };
    let terms = kept
        .iter()
        .map(|[b, w]| term(*b, b + w, m / (m + n)) + term(*w, b + w, n / (m + n)));
    let statistic = (2.0 * terms.sum::<f64>()).max(0.0);
    let degrees = kept.len() - 1;
    let p_value = match ChiSquared::new(degrees as f64) {
        Ok(distribution) => distribution.sf(statistic),
        // Without any degree of freedom.
        Err(_) => 1.0,
    };
    Ok(GTest {
        statistic,
        degrees,
        p_value,
    })
}

/// The counts of `rows` rows drawn without replacement from bins with `pooled` rows.
fn draw(pooled: &[u64], rows: u64, random: &mut ChaCha8Rng) -> Result<Vec<u64>> {
    let (mut left, mut wanted) = (pooled.iter().sum::<u64>(), rows);
    pooled
        .iter()
        .map(|bin| {
            let count = hypergeometric(left, *bin, wanted, random)?;
            left -= bin;
            wanted -= count;
            Ok(count)
        })
        .collect()
}

/// How many of `wanted` rows, drawn from `all`, are among `marked` ones.
fn hypergeometric(all: u64, marked: u64, wanted: u64, random: &mut ChaCha8Rng) -> Result<u64> {
    if marked > all / 2 {
        return Ok(wanted - hypergeometric(all, all - marked, wanted, random)?);
    }
    if wanted > all / 2 {
        return Ok(marked - hypergeometric(all, marked, all - wanted, random)?);
    }
    if marked as f64 * wanted as f64 <= FEW * all as f64 {
        return Ok(few(all, marked, wanted, random));
    }
    let distribution = Hypergeometric::new(all, marked, wanted).map_err(|cause| {
        Error::new(ErrorKind::Internal, "permute rows", "no such division").because(cause)
    })?;
    Ok(distribution.sample(random))
}

/// Up to this mean counts are drawn here: the library multiplies out factorials of all rows for them.
const FEW: f64 = 16.0;

/// As [`hypergeometric`], by inversion.
fn few(all: u64, marked: u64, wanted: u64, random: &mut ChaCha8Rng) -> u64 {
    let [n, k, w] = [all, marked, wanted].map(|rows| rows as f64);
    let ln_factorial = |x: f64| libm::lgamma(x + 1.0);
    // P(0) = C(n - k, w) / C(n, w)
    let mut probability =
        (ln_factorial(n - k) + ln_factorial(n - w) - ln_factorial(n - k - w) - ln_factorial(n))
            .exp();
    let mut at: f64 = random.random();
    let mut count = 0;
    while at >= probability && count < marked.min(wanted) {
        at -= probability;
        let x = count as f64;
        probability *= (k - x) * (w - x) / ((x + 1.0) * (n - k - w + x + 1.0));
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    const SHARES: [f64; 5] = [0.4, 0.3, 0.2, 0.07, 0.03];

    /// Counts of `rows` rows with the shares.
    fn histogram(shares: &[f64], rows: u64, random: &mut ChaCha8Rng) -> Vec<u64> {
        let mut counts = vec![0; shares.len()];
        for _ in 0..rows {
            let mut at: f64 = random.random();
            let bin = shares.iter().position(|share| {
                at -= share;
                at < 0.0
            });
            counts[bin.unwrap_or(shares.len() - 1)] += 1;
        }
        counts
    }

    #[test]
    fn clean_windows_alarm_as_often_as_the_p_value_says() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for rows in [50, 200, 1_000] {
            for distance in Distance::ALL {
                let alarms = (0..2_000).filter(|window| {
                    let baseline = histogram(&SHARES, 3_000, &mut random);
                    let counts = histogram(&SHARES, rows, &mut random);
                    let test = permutations(distance, &baseline, &counts, 199, *window);
                    test.unwrap().p_value() <= 0.05
                });
                let share = alarms.count() as f64 / 2_000.0;
                println!("{distance}, {rows} rows: {share}");
                assert!(
                    (0.03..=0.07).contains(&share),
                    "{distance}, {rows}: {share}"
                );
            }
        }
    }

    #[test]
    fn drift_is_seen_and_chance_is_about_the_noise_floor() {
        let baseline = [20_000, 15_000, 10_000, 3_500, 1_500];
        let drifted = [300, 250, 200, 150, 100];
        let test = permutations(Distance::Jsd, &baseline, &drifted, 999, 42).unwrap();
        assert_eq!(test.p_value(), 0.001);
        let floor = crate::noise_floor(5, 1_000, 50_000);
        assert!(
            (test.expected() / floor - 1.0).abs() < 0.1,
            "{}",
            test.expected()
        );
        let same = [400, 300, 200, 70, 30];
        let test = permutations(Distance::Psi, &baseline, &same, 999, 42).unwrap();
        assert!(test.p_value() > 0.9);
    }

    #[test]
    fn a_division_keeps_every_row() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let pooled = [7, 0, 1_000_000_000, 3, 90_000];
        for rows in [0, 1, 500, 1_000_090_010] {
            let drawn = draw(&pooled, rows, &mut random).unwrap();
            assert_eq!(drawn.iter().sum::<u64>(), rows);
            assert!(drawn.iter().zip(&pooled).all(|(drawn, bin)| drawn <= bin));
        }
        // The mean of a bin is its share, far from where a normal approximation would do.
        let counts: u64 = (0..20_000)
            .map(|_| draw(&pooled[3..], 30_000, &mut random).unwrap()[0])
            .sum();
        let (mean, expected) = (counts as f64 / 20_000.0, 3.0 * 30_000.0 / 90_003.0);
        assert!((mean - expected).abs() < 0.03, "{mean} is not {expected}");
        // So is that of bins on both sides of where the library takes over, of many rows.
        let many = [500_000_000, 400, 20_000, 499_979_600];
        let mut sums = [0; 4];
        for _ in 0..20_000 {
            for (sum, count) in sums
                .iter_mut()
                .zip(draw(&many, 2_000_000, &mut random).unwrap())
            {
                *sum += count;
            }
        }
        for (bin, expected, tolerance) in [(1, 0.8, 0.03), (2, 40.0, 0.2)] {
            let mean = sums[bin] as f64 / 20_000.0;
            assert!(
                (mean - expected).abs() < tolerance,
                "{mean} is not {expected}"
            );
        }
    }
}
