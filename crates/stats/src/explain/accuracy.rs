//! The accuracy of the model over a window without labels.

use driftline_core::Result;
use serde::Serialize;

use crate::{Accuracy, Baseline, Estimate, EstimatedAccuracy, Sample, Space, TestOptions};

/// An accuracy without labels, see [`EstimatedAccuracy`].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ExpectedAccuracy {
    /// Share of the window's rows, 0..=1.
    pub value: f64,
    /// Lower end of the interval that holds it, but for a share `alpha` of windows.
    pub low: f64,
    /// Its upper end.
    pub high: f64,
    /// Whether labels of the baseline say how often the model is right at each confidence; otherwise this is the confidence.
    pub calibrated: bool,
}

/// The accuracy that the confidence over the window lets expect; `None` for rows without scores.
pub(super) fn expected_accuracy(
    baseline: &Baseline,
    window: &Sample,
    options: &TestOptions,
) -> Result<Option<ExpectedAccuracy>> {
    let targets = baseline.kept().targets().iter().enumerate();
    let (rows, labels): (Vec<usize>, Vec<usize>) = targets
        .filter_map(|(row, target)| Some((row, (*target)? as usize)))
        .unzip();
    let labelled = baseline.kept().select(&rows);
    let (Some(before), Some(now)) = (labelled.space(Space::Scores)?, window.space(Space::Scores)?)
    else {
        return Ok(None);
    };
    let labels = (!labels.is_empty()).then_some(labels.as_slice());
    let estimated = match EstimatedAccuracy::fit(before, labels)?.estimate(now, options) {
        // Scores that are no probabilities say nothing without labels.
        Err(_) if labels.is_none() => None,
        estimated => estimated?,
    };
    let Some(estimated) = estimated else {
        return Ok(None);
    };
    let Estimate { value, low, high } = estimated.estimate();
    Ok(Some(ExpectedAccuracy {
        value,
        low,
        high,
        calibrated: matches!(estimated, Accuracy::Calibrated(_)),
    }))
}
