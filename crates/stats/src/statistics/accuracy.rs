//! How often a model is right, estimated from its confidence where no labels are.

use driftline_core::{Error, ErrorKind, Result};
use rand::RngExt;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::TestOptions;
use crate::permutation::generator;
use crate::vectors::{Vectors, arg_max};

/// Confidence-based performance estimation: the mean over the window of the probability of being right that rows of such
/// confidence have in the baseline.
///
/// The confidence is the score of the predicted class. Isotonic regression over the labelled rows of the baseline says how often
/// the model is right at each. It is a report and no test: it holds as long as a confidence means what it did in the baseline,
/// which a drift that makes the model wrong and sure of it breaks.
///
/// | | |
/// | --- | --- |
/// | value | share of the window's rows, 0 to 1 |
/// | cost | `permutations (m + n)` steps |
/// | not for | a change of what the right outcome is, with the images as they were |
///
/// The regression is that of scikit-learn's `IsotonicRegression(out_of_bounds="clip")`.
#[derive(Debug, Clone)]
pub struct EstimatedAccuracy {
    classes: usize,
    /// Confidence of each labelled row and whether it is right, by confidence. None without labels.
    graded: Option<Vec<(f64, bool)>>,
}

/// What is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Accuracy {
    /// The accuracy, from the confidence as the baseline's labels calibrate it.
    Calibrated(Estimate),
    /// The mean confidence as it is, for want of labels: the accuracy only of a model that is calibrated.
    Confidence(Estimate),
}

/// A share and the interval that holds the share of rows that are right, but for a share `alpha` of windows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
}

impl EstimatedAccuracy {
    /// Grades the baseline's rows of scores, one score for each class, with the classes that they are of, if those are known. A
    /// label that is no class of the model is one that it cannot get right.
    ///
    /// # Errors
    /// `InvalidData` where there is not one label for each row.
    pub fn fit(baseline: Vectors<'_>, labels: Option<&[usize]>) -> Result<Self> {
        let graded = labels.map(|labels| grade(baseline, labels)).transpose()?;
        Ok(Self {
            classes: baseline.dim(),
            graded: graded.filter(|graded| !graded.is_empty()),
        })
    }

    /// Estimates the accuracy over the rows of a window; none without rows.
    ///
    /// The interval is of normal width: the variance of `options.permutations` bootstrap estimates, from baselines that are drawn
    /// with replacement, and that of how many rows are right by chance. `options.block` widens both as if only one row of each block
    /// were there.
    ///
    /// # Errors
    /// `InvalidData` for scores of other classes, or that are no probabilities where no labels calibrate them.
    pub fn estimate(&self, window: Vectors<'_>, options: &TestOptions) -> Result<Option<Accuracy>> {
        options.check()?;
        if window.dim() != self.classes {
            let message = format!(
                "the baseline has scores of {} classes, the window of {}",
                self.classes,
                window.dim()
            );
            return Err(refuse(message));
        }
        let confidences = window.iter().map(|row| f64::from(arg_max(row).1));
        let mut confidences: Vec<f64> = confidences.collect();
        if confidences.is_empty() {
            return Ok(None);
        }
        let Some(graded) = &self.graded else {
            for confidence in &mut confidences {
                // Rounding takes a probability a little beyond 1.
                if !(0.0..=1.0 + 1e-4).contains(confidence) {
                    let message = format!("a confidence of {confidence} is no probability");
                    return Err(refuse(message).remedy("label the baseline to calibrate it"));
                }
                *confidence = confidence.min(1.0);
            }
            let estimate = Estimate::of(&confidences, 0.0, options);
            return Ok(Some(Accuracy::Confidence(estimate)));
        };
        confidences.sort_by(f64::total_cmp);
        let once = vec![1; graded.len()];
        let shares = Isotonic::fit(graded, &once).predict(&confidences);
        let resampled: Vec<f64> = (0..options.permutations as u64)
            .into_par_iter()
            .map(|resample| {
                let mut random = generator(options.seed, resample);
                let mut times = vec![0; graded.len()];
                for _ in 0..graded.len() {
                    times[random.random_range(0..graded.len())] += 1;
                }
                mean(&Isotonic::fit(graded, &times).predict(&confidences))
            })
            .collect();
        let centre = mean(&resampled);
        let squares: Vec<f64> = resampled
            .iter()
            .map(|mean| (mean - centre).powi(2))
            .collect();
        let estimate = Estimate::of(&shares, mean(&squares), options);
        Ok(Some(Accuracy::Calibrated(estimate)))
    }
}

impl Accuracy {
    /// The estimate, calibrated or not.
    pub fn estimate(&self) -> Estimate {
        match self {
            Self::Calibrated(estimate) | Self::Confidence(estimate) => *estimate,
        }
    }
}

impl Estimate {
    /// That of rows that are right with these probabilities, whose mean varies by `variance` besides.
    fn of(shares: &[f64], variance: f64, options: &TestOptions) -> Self {
        let value = mean(shares);
        let chance: Vec<f64> = shares.iter().map(|share| share * (1.0 - share)).collect();
        let variance = variance + mean(&chance) / shares.len() as f64;
        let quantile = Normal::standard().inverse_cdf(1.0 - options.alpha / 2.0);
        let half = quantile * (variance * options.block.max(1) as f64).sqrt();
        Self {
            value,
            low: (value - half).max(0.0),
            high: (value + half).min(1.0),
        }
    }
}

/// A rising step function of the confidence, with straight lines between its steps.
struct Isotonic {
    steps: Vec<Step>,
}

/// Rows of neighbouring confidence among which none shows that the more confident are right more often.
struct Step {
    first: f64,
    last: f64,
    right: f64,
    rows: f64,
}

impl Step {
    fn share(&self) -> f64 {
        self.right / self.rows
    }
}

impl Isotonic {
    /// The rising function nearest to the grades, of which row `i` is there `times[i]` times: pool adjacent violators.
    fn fit(graded: &[(f64, bool)], times: &[u32]) -> Self {
        let mut steps: Vec<Step> = Vec::new();
        let mut rows = graded.iter().zip(times).filter(|(_, times)| **times > 0);
        let mut next = rows.next();
        while let Some((&(confidence, _), _)) = next {
            let mut step = Step {
                first: confidence,
                last: confidence,
                right: 0.0,
                rows: 0.0,
            };
            while let Some((&(same, right), &times)) = next
                && same == confidence
            {
                step.rows += f64::from(times);
                step.right += f64::from(times) * f64::from(u8::from(right));
                next = rows.next();
            }
            while let Some(below) = steps.pop_if(|below| below.share() >= step.share()) {
                step.first = below.first;
                step.right += below.right;
                step.rows += below.rows;
            }
            steps.push(step);
        }
        Self { steps }
    }

    /// The value at each confidence, given in ascending order; beyond the ends, that at the end.
    fn predict(&self, confidences: &[f64]) -> Vec<f64> {
        let mut at = 0;
        let values = confidences.iter().map(|confidence| {
            while self
                .steps
                .get(at + 1)
                .is_some_and(|next| next.first <= *confidence)
            {
                at += 1;
            }
            let step = &self.steps[at];
            match self.steps.get(at + 1) {
                Some(next) if *confidence > step.last => {
                    let along = (confidence - step.last) / (next.first - step.last);
                    step.share() + along * (next.share() - step.share())
                }
                _ => step.share(),
            }
        });
        values.collect()
    }
}

/// The confidence of each row and whether it is right, by confidence.
fn grade(scores: Vectors<'_>, labels: &[usize]) -> Result<Vec<(f64, bool)>> {
    if labels.len() != scores.rows() {
        let message = format!("{} labels for {} rows", labels.len(), scores.rows());
        return Err(refuse(message));
    }
    let rows = scores.iter().zip(labels).map(|(row, label)| {
        let (class, confidence) = arg_max(row);
        (f64::from(confidence), class == *label)
    });
    let mut graded: Vec<(f64, bool)> = rows.collect();
    graded.sort_by(|a, b| a.0.total_cmp(&b.0));
    Ok(graded)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::InvalidData, "estimate the accuracy", message)
}
