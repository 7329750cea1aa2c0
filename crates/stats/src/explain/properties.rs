//! Changes of the image properties.

use driftline_core::Result;
use driftline_properties::PROPERTIES;
use serde::Serialize;

use super::spread::mean_and_deviation;
use crate::multiple_testing::benjamini_hochberg;
use crate::{Baseline, Sample, Space, TestOptions, ks};

/// How an image property changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PropertyChange {
    /// Its name.
    pub name: String,
    /// Mean over the baseline, in the property's unit.
    pub baseline: f64,
    /// Mean over the window.
    pub window: f64,
    /// Difference of the means in standard deviations of the baseline.
    pub shift: f64,
    /// Probability of such a difference of the distributions without drift (Kolmogorov-Smirnov).
    pub p_value: f64,
    /// Whether it drifted, with a share `alpha` of false discoveries over the properties.
    pub drifted: bool,
}

impl PropertyChange {
    /// As in `brightness -49 %`.
    pub(super) fn describe(&self) -> String {
        let known = PROPERTIES
            .iter()
            .find(|property| property.name == self.name);
        let difference = self.window - self.baseline;
        if known.is_some_and(|property| property.relative) && self.baseline > 0.0 {
            format!("{} {:+.0} %", self.name, 100.0 * difference / self.baseline)
        } else {
            format!("{} {difference:+.2}", self.name)
        }
    }
}

/// How each image property changed; empty where baseline or window has none.
pub(super) fn property_changes(
    baseline: &Baseline,
    window: &Sample,
    options: &TestOptions,
) -> Result<Vec<PropertyChange>> {
    let (Some(before), Some(now)) = (
        baseline.kept().space(Space::Properties)?,
        window.space(Space::Properties)?,
    ) else {
        return Ok(Vec::new());
    };
    before.same_space(&now)?;
    let names = baseline.kept().schema().properties.iter().enumerate();
    let mut changes: Vec<PropertyChange> = names
        .map(|(at, name)| {
            let columns = [before, now].map(|rows| rows.component(at).collect::<Vec<f32>>());
            let [(before, deviation), (now, _)] =
                [&columns[0], &columns[1]].map(|values| mean_and_deviation(values));
            PropertyChange {
                name: name.clone(),
                baseline: before,
                window: now,
                shift: if deviation > 0.0 {
                    (now - before) / deviation
                } else {
                    0.0
                },
                p_value: ks(&columns[0], &columns[1]).1,
                drifted: false,
            }
        })
        .collect();
    let p_values: Vec<f64> = changes.iter().map(|change| change.p_value).collect();
    for (change, rejected) in changes
        .iter_mut()
        .zip(benjamini_hochberg(&p_values, options.alpha))
    {
        change.drifted = rejected;
    }
    Ok(changes)
}
