//! The two-sample Kolmogorov-Smirnov test of each component, and its permutation.
//!
//! Components of an embedding depend on each other in ways that no closed form knows. A permutation of the rows moves all
//! components alike, so what is computed from all distances under each permutation has the dependence in it. Ranks do not change with the permutation: the rows are sorted once per component, and a permutation is one pass over them.

use rand::seq::index::sample;
use rayon::prelude::*;

use crate::permutation::{generator, independent_rows, not_enough_rows};
use crate::{TestOptions, TestOutcome, Vectors};

/// The Kolmogorov-Smirnov distance of two samples and the probability of one as large without any drift.
///
/// The distance is that of `scipy.stats.ks_2samp`. The probability is Kolmogorov's limit at
/// `(sqrt(e) + 0.12 + 0.11 / sqrt(e)) d` with `e = n m / (n + m)` (Stephens 1970), from 20 rows on within a tenth of SciPy's
/// `method="asymp"`; it is too large where values are tied. Without values of either the distance is 0: `(0, 1)`.
pub fn ks(baseline: &[f32], window: &[f32]) -> (f64, f64) {
    let (m, n) = (baseline.len(), window.len());
    if m == 0 || n == 0 {
        return (0.0, 1.0);
    }
    let Component { order, ends } = Component::sort(baseline.iter().chain(window).copied());
    let (mut start, mut in_window, mut distance) = (0, 0, 0.0_f64);
    for end in ends {
        let tied = &order[start..end as usize];
        in_window += tied.iter().filter(|row| **row as usize >= m).count();
        start = end as usize;
        let difference = in_window as f64 / n as f64 - (start - in_window) as f64 / m as f64;
        distance = distance.max(difference.abs());
    }
    (distance, p_value(distance, m, n))
}

/// The probability of a distance as large without any drift, see [`ks`].
pub(crate) fn p_value(distance: f64, m: usize, n: usize) -> f64 {
    let root = (m as f64 * n as f64 / (m + n) as f64).sqrt();
    kolmogorov((root + 0.12 + 0.11 / root) * distance)
}

/// `1 - F(x)` of the Kolmogorov distribution, by the one of its two series that converges at once.
fn kolmogorov(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x < 0.1 {
        // Less than 1e-50 is missing.
        return 1.0;
    }
    if x < 1.0 {
        let terms = [1.0, 3.0, 5.0, 7.0, 9.0].map(|k: f64| (-(k * PI / x).powi(2) / 8.0).exp());
        return 1.0 - (2.0 * PI).sqrt() / x * terms.iter().sum::<f64>();
    }
    let terms = [1.0, 2.0, 3.0, 4.0, 5.0].map(|k: f64| (-2.0 * (k * x).powi(2)).exp());
    let [a, b, c, d, e] = terms;
    2.0 * (a - b + c - d + e)
}

/// Permutations that are walked through together, a cache line of steps for each row.
const LANES: usize = 16;

/// The rows of baseline and window in the order of each component.
#[derive(Debug)]
pub(crate) struct Ranks {
    baseline: usize,
    window: usize,
    components: Vec<Component>,
}

/// One component, sorted.
#[derive(Debug)]
struct Component {
    /// Rows, from the least value to the greatest.
    order: Vec<u32>,
    /// Where in the order each run of equal values ends.
    ends: Vec<u32>,
}

impl Component {
    fn sort(values: impl Iterator<Item = f32>) -> Self {
        // Adding zero makes -0 into 0, and flipping the bits makes the order of the values that of the numbers.
        let key = |value: f32| {
            let bits = (value + 0.0).to_bits();
            bits ^ if bits >> 31 == 1 { u32::MAX } else { 1 << 31 }
        };
        let rows = values.enumerate();
        let mut keys: Vec<u64> = rows
            .map(|(row, value)| u64::from(key(value)) << 32 | row as u64)
            .collect();
        keys.sort_unstable();
        let ends = (1..=keys.len()).filter(|end| {
            let next = keys.get(*end);
            next.is_none_or(|next| next >> 32 != keys[end - 1] >> 32)
        });
        Self {
            ends: ends.map(|end| end as u32).collect(),
            order: keys.iter().map(|key| *key as u32).collect(),
        }
    }

    /// The farthest that each lane's sum of steps gets from 0 between two values.
    fn walk(&self, steps: &[[f32; LANES]]) -> [f32; LANES] {
        let (mut sums, mut farthest) = ([0_f32; LANES], [0_f32; LANES]);
        let mut start = 0;
        for end in &self.ends {
            for row in &self.order[start..*end as usize] {
                for (sum, step) in sums.iter_mut().zip(&steps[*row as usize]) {
                    *sum += step;
                }
            }
            start = *end as usize;
            for (farthest, sum) in farthest.iter_mut().zip(&sums) {
                let far = sum.abs();
                *farthest = if far > *farthest { far } else { *farthest };
            }
        }
        farthest
    }
}

impl Ranks {
    /// Sorts the rows of both, thinned where they depend on their neighbours.
    ///
    /// # Errors
    /// The outcome that there are too few rows.
    pub(crate) fn sort(
        baseline: Vectors<'_>,
        window: Vectors<'_>,
        options: &TestOptions,
    ) -> Result<Self, TestOutcome> {
        let dim = baseline.dim();
        let samples = [baseline, window].map(|sample| independent_rows(sample, options));
        let [m, n] = [samples[0].len() / dim, samples[1].len() / dim];
        if let Some(outcome) = not_enough_rows(m, n, options.alpha) {
            return Err(outcome);
        }
        let components = (0..dim).into_par_iter().map(|at| {
            let values = samples
                .iter()
                .flat_map(|sample| sample.iter().skip(at).step_by(dim));
            Component::sort(values.copied())
        });
        Ok(Self {
            baseline: m,
            window: n,
            components: components.collect(),
        })
    }

    /// Rows of the baseline and of the window.
    pub(crate) fn rows(&self) -> (usize, usize) {
        (self.baseline, self.window)
    }

    /// A statistic of the distances of all components: its value, and its values under each permutation.
    pub(crate) fn permute<T: Copy + Send>(
        &self,
        options: &TestOptions,
        statistic: impl Fn(&[f64]) -> T + Sync,
    ) -> (T, Vec<T>) {
        let all = self.baseline + self.window;
        let few = self.baseline.min(self.window);
        let permutations = options.permutations as u64;
        let permuted: Vec<[T; LANES]> = (0..permutations.div_ceil(LANES as u64))
            .into_par_iter()
            .map(|batch| {
                let first = batch * LANES as u64;
                let chosen = std::array::from_fn(|lane| {
                    let mut random = generator(options.seed, first + lane as u64);
                    sample(&mut random, all, few).into_vec()
                });
                self.distances(&chosen, &statistic)
            })
            .collect();
        let mut actual: [Vec<usize>; LANES] = std::array::from_fn(|_| Vec::new());
        actual[0] = if self.window <= self.baseline {
            (self.baseline..all).collect()
        } else {
            (0..self.baseline).collect()
        };
        let [value, ..] = self.distances(&actual, &statistic);
        let permuted = permuted.into_iter().flatten();
        (value, permuted.take(options.permutations).collect())
    }

    /// The statistic of each lane, in which the chosen rows are one sample.
    fn distances<T>(
        &self,
        chosen: &[Vec<usize>; LANES],
        statistic: impl Fn(&[f64]) -> T,
    ) -> [T; LANES] {
        let all = self.baseline + self.window;
        let few = self.baseline.min(self.window);
        // A chosen row adds 1 / few to the one distribution, another takes 1 / (all - few): as whole numbers, whose sums are
        // exact.
        let divisor = gcd(few, all - few);
        let (up, down) = ((all - few) / divisor, few / divisor);
        let mut steps = vec![[-(down as f32); LANES]; all];
        for (lane, rows) in chosen.iter().enumerate() {
            for row in rows {
                steps[*row][lane] = up as f32;
            }
        }
        let unit = (few as f64) * (up as f64);
        let mut distances = vec![0.0; LANES * self.components.len()];
        for (at, component) in self.components.iter().enumerate() {
            for (lane, far) in component.walk(&steps).into_iter().enumerate() {
                distances[lane * self.components.len() + at] = f64::from(far) / unit;
            }
        }
        std::array::from_fn(|lane| {
            statistic(&distances[lane * self.components.len()..][..self.components.len()])
        })
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
