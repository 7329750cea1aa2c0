//! Drift of what a model says of the rows: its scores and its predictions, one score for each class.

use driftline_core::Result;

use super::distance::Distance;
use super::histograms::histogram_test;
use super::kolmogorov_smirnov::Ranks;
use crate::permutation::NullDistribution;
use crate::vectors::{Vectors, arg_max};
use crate::{DriftTest, TestOptions, TestOutcome};

/// Black box shift detection on scores: the largest Kolmogorov-Smirnov distance of the score of a class, or of the confidence,
/// which is the score of the predicted class. By permutation, whatever the dependence of the scores.
///
/// | | |
/// | --- | --- |
/// | value | distance of two distribution functions, 0 to 1 |
/// | cost | that of [`DriftedComponents`](crate::DriftedComponents) for `classes + 1` components |
/// | not for | drift that the model does not notice |
///
/// Lipton, Wang and Smola 2018 (BBSD); Rabanser, Günnemann and Lipton 2019 (BBSDs).
#[derive(Debug, Clone)]
pub struct ScoreShift {
    classes: usize,
    scores: Vec<f32>,
}

impl ScoreShift {
    /// Keeps the scores of the baseline.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        Self {
            classes: baseline.dim(),
            scores: baseline.values().to_vec(),
        }
    }
}

impl DriftTest for ScoreShift {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.scores, self.classes);
        baseline.same_space(&window)?;
        let [baseline, window] = [baseline, window].map(with_confidence);
        let baseline = Vectors::new("the baseline", &baseline, self.classes + 1)?;
        let window = Vectors::new("the window", &window, self.classes + 1)?;
        let ranks = match Ranks::sort(baseline, window, options) {
            Ok(ranks) => ranks,
            Err(outcome) => return Ok(outcome),
        };
        let (value, permuted) = ranks.permute(options, |distances| {
            distances.iter().copied().fold(0.0, f64::max)
        });
        Ok(TestOutcome::Tested(
            NullDistribution::new(value, permuted).result(options.alpha),
        ))
    }
}

/// The distance between the shares of the predicted classes, by permutation.
///
/// | | |
/// | --- | --- |
/// | value | that of the [`Distance`]; its total variation is the share of predictions that moved to another class |
/// | cost | `permutations` sums of at most about 50 blocks of `classes` values |
/// | not for | drift that leaves the shares of the predictions as they are; a model with one score |
///
/// Lipton, Wang and Smola 2018; Rabanser, Günnemann and Lipton 2019 (BBSDh, there with a chi-squared test).
#[derive(Debug, Clone)]
pub struct PredictionShift {
    distance: Distance,
    classes: usize,
    scores: Vec<f32>,
}

impl PredictionShift {
    /// Keeps the scores of the baseline, to be compared by `distance`.
    pub fn fit(baseline: Vectors<'_>, distance: Distance) -> Self {
        Self {
            distance,
            classes: baseline.dim(),
            scores: baseline.values().to_vec(),
        }
    }
}

impl DriftTest for PredictionShift {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.scores, self.classes);
        baseline.same_space(&window)?;
        let [baseline, window] = [baseline, window]
            .map(|scores| -> Vec<usize> { scores.iter().map(|row| arg_max(row).0).collect() });
        histogram_test(self.distance, self.classes, &baseline, &window, options)
    }
}

/// Each row of scores with its greatest behind it.
fn with_confidence(scores: Vectors<'_>) -> Vec<f32> {
    let mut rows = Vec::with_capacity(scores.rows() * (scores.dim() + 1));
    for row in scores.iter() {
        rows.extend_from_slice(row);
        rows.push(arg_max(row).1);
    }
    rows
}
