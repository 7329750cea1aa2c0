//! Drift of what a model says of the rows: its scores and its predictions, one score for each class.

use driftline_core::Result;

use crate::counts;
use crate::division::check;
use crate::ks::Ranks;
use crate::{Answer, Distance, DriftTest, Null, TestOptions, Vectors};

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
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<Answer> {
        check(options)?;
        let baseline = Vectors::checked(&self.scores, self.classes);
        baseline.same_space(&window)?;
        let [baseline, window] = [baseline, window].map(with_confidence);
        let baseline = Vectors::new("the baseline", &baseline, self.classes + 1)?;
        let window = Vectors::new("the window", &window, self.classes + 1)?;
        let ranks = match Ranks::sort(baseline, window, options) {
            Ok(ranks) => ranks,
            Err(answer) => return Ok(answer),
        };
        let (value, by_chance) = ranks.divide(options, |distances| {
            distances.iter().copied().fold(0.0, f64::max)
        });
        Ok(Answer::Finding(
            Null::new(value, by_chance).finding(options.alpha),
        ))
    }
}

/// The distance between the shares of the predicted classes, by permutation.
///
/// | | |
/// | --- | --- |
/// | value | that of the [`Distance`]; its total variation is the share of predictions that moved to another class |
/// | cost | `divisions` sums of at most about 50 blocks of `classes` values |
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
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<Answer> {
        check(options)?;
        let baseline = Vectors::checked(&self.scores, self.classes);
        baseline.same_space(&window)?;
        let [baseline, window] = [baseline, window]
            .map(|scores| -> Vec<usize> { scores.iter().map(|row| prediction(row).0).collect() });
        counts::answer(self.distance, self.classes, &baseline, &window, options)
    }
}

/// The class with the greatest score, the first of several, and that score.
pub(crate) fn prediction(scores: &[f32]) -> (usize, f32) {
    let classes = scores.iter().copied().enumerate();
    classes.fold((0, f32::NEG_INFINITY), |best, class| {
        if class.1 > best.1 { class } else { best }
    })
}

/// Each row of scores with its greatest behind it.
fn with_confidence(scores: Vectors<'_>) -> Vec<f32> {
    let mut rows = Vec::with_capacity(scores.rows() * (scores.dim() + 1));
    for row in scores.iter() {
        rows.extend_from_slice(row);
        rows.push(prediction(row).1);
    }
    rows
}
