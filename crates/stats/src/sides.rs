//! The two sides of a test that looks at single rows, and how a division mixes them.

use crate::division::{independent, random, too_few};
use crate::{Answer, Null, TestOptions, Vectors};

/// Values under divisions that differ from the window's by less than this share of their range are ties that were rounded.
const TIE: f64 = 1e-9;

/// The rows of baseline and window that may be exchanged one by one.
#[derive(Debug)]
pub(crate) struct Sides {
    dim: usize,
    /// f32 `[rows, dim]`: those of the baseline, then those of the window.
    rows: Vec<f32>,
    baseline: usize,
    options: TestOptions,
}

impl Sides {
    /// Takes all rows, or those that are far enough apart where neighbours depend on each other.
    ///
    /// # Errors
    /// The answer that there are too few: less than `least` on a side, or fewer divisions than the level takes.
    pub(crate) fn new(
        baseline: Vectors<'_>,
        window: Vectors<'_>,
        least: usize,
        options: &TestOptions,
    ) -> Result<Self, Answer> {
        let dim = baseline.dim();
        let mut rows = independent(baseline, options);
        let baseline = rows.len() / dim;
        rows.extend(independent(window, options));
        let all = rows.len() / dim;
        let few = baseline.min(all - baseline);
        if few < least {
            return Err(Answer::NotEnoughRows {
                rows: few,
                needed: least,
            });
        }
        if let Some(answer) = too_few(baseline, all - baseline, options.alpha) {
            return Err(answer);
        }
        Ok(Self {
            dim,
            rows,
            baseline,
            options: *options,
        })
    }

    /// Values in a row.
    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// The rows of the baseline, then those of the window.
    pub(crate) fn rows(&self) -> &[f32] {
        &self.rows
    }

    /// Number of rows of the baseline.
    pub(crate) fn baseline(&self) -> usize {
        self.baseline
    }

    /// Number of rows of the window.
    pub(crate) fn window(&self) -> usize {
        self.rows.len() / self.dim - self.baseline
    }

    /// Number of divisions.
    pub(crate) fn divisions(&self) -> u64 {
        self.options.divisions as u64
    }

    /// Number of rows of the smaller side, whose rows a division draws.
    pub(crate) fn few(&self) -> usize {
        self.baseline.min(self.window())
    }

    /// Which rows fall to the smaller side in a division.
    pub(crate) fn drawn(&self, division: u64) -> Vec<bool> {
        let all = self.baseline + self.window();
        let mut random = random(self.options.seed, division);
        let mut drawn = vec![false; all];
        for row in rand::seq::index::sample(&mut random, all, self.few()) {
            drawn[row] = true;
        }
        drawn
    }

    /// The statistic of the window beside that of each division; where only rounding tells them apart they are equal.
    pub(crate) fn null(&self, value: f64, mut by_chance: Vec<f64>) -> Null {
        let (least, most) = by_chance
            .iter()
            .fold((value, value), |(a, b), v| (a.min(*v), b.max(*v)));
        for chance in &mut by_chance {
            if (*chance - value).abs() <= (most - least) * TIE {
                *chance = value;
            }
        }
        Null::new(value, by_chance)
    }
}
