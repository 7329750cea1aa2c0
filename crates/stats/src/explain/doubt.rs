//! Signs that the baseline itself is doubtful.

use driftline_core::Result;

use super::spread::mean_and_deviation;
use crate::vectors::arg_max;
use crate::{Baseline, Sample, Space, Statistic, TestOptions, Verdict, ks};

/// A p-value at or below which baseline and window differ beyond doubt.
const CERTAIN: f64 = 0.001;

/// Whether the baseline may be made of the images that the model was trained on: the model is surer of them than of
/// unseen images that look the same.
pub(super) fn doubt(
    baseline: &Baseline,
    window: &Sample,
    options: &TestOptions,
) -> Result<Option<String>> {
    let [before, now] = [baseline.kept(), window].map(confidence);
    let [(surer, _), (less, _)] = [&before, &now].map(|values| mean_and_deviation(values));
    if before.is_empty() || now.is_empty() || surer <= less || ks(&before, &now).1 > CERTAIN {
        return Ok(None);
    }
    let images = baseline.check(window, &[Statistic::Properties], options)?;
    Ok((images.verdict == Verdict::None).then(|| {
        format!(
            "the model is surer of the baseline ({surer:.3} on average) than of this window ({less:.3}), though its images \
             look the same: the content changed, or the baseline holds images that the model was trained on; a baseline of \
             images that the model has not seen tells which"
        )
    }))
}

/// The best score of each row; empty for a model without classes.
fn confidence(sample: &Sample) -> Vec<f32> {
    match sample.space(Space::Scores) {
        Ok(Some(scores)) => scores.iter().map(|row| arg_max(row).1).collect(),
        _ => Vec::new(),
    }
}
