//! What changed between baseline and window.

use driftline_core::Result;
use serde::Serialize;

use super::accuracy::{ExpectedAccuracy, expected_accuracy};
use super::classes::{ClassChange, class_changes};
use super::doubt::doubt;
use super::exemplars::exemplars;
use super::properties::{PropertyChange, property_changes};
use super::shares::ShareChange;
use crate::{Baseline, Sample, TestOptions};

/// What changed between baseline and window.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Explanation {
    /// The notable changes in words, the largest first, as in `brightness -49 %`.
    pub changes: Vec<String>,
    /// Every image property.
    pub properties: Vec<PropertyChange>,
    /// Every class that the model predicts.
    pub classes: Vec<ClassChange>,
    /// Every cluster of the baseline.
    pub clusters: Vec<ShareChange>,
    /// Rows of the window that lie farthest along the direction in which the embeddings moved, the farthest first.
    pub exemplars: Vec<usize>,
    /// The accuracy that the model's confidence lets expect, for rows with scores.
    pub accuracy: Option<ExpectedAccuracy>,
    /// What makes the outcomes doubtful.
    pub warnings: Vec<String>,
}

impl Baseline {
    /// What changed in the window.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn explain(&self, window: &Sample, options: &TestOptions) -> Result<Explanation> {
        let options = &self.test_options(options)?;
        let profile = self.plan().profile(window)?;
        let counts = |baseline: &[u64], window: &[u64]| -> Vec<ShareChange> {
            let all = (self.rows(), profile.rows());
            let each = baseline.iter().zip(window);
            each.map(|(b, w)| ShareChange::new((*b, all.0), (*w, all.1)))
                .collect()
        };
        let mut explanation = Explanation {
            properties: property_changes(self, window, options)?,
            classes: class_changes(
                self,
                window,
                &counts(&self.profile().classes, &profile.classes),
                options,
            )?,
            clusters: counts(&self.profile().clusters, &profile.clusters),
            exemplars: exemplars(self, window)?,
            accuracy: expected_accuracy(self, window, options)?,
            ..Explanation::default()
        };
        explanation.changes = changes(&explanation);
        explanation.warnings.extend(doubt(self, window, options)?);
        Ok(explanation)
    }
}

/// The notable changes in words.
fn changes(explanation: &Explanation) -> Vec<String> {
    let mut drifted: Vec<&PropertyChange> = explanation
        .properties
        .iter()
        .filter(|p| p.drifted)
        .collect();
    drifted.sort_by(|a, b| b.shift.abs().total_cmp(&a.shift.abs()));
    let mut changes: Vec<String> = drifted.into_iter().map(PropertyChange::describe).collect();
    for class in &explanation.classes {
        changes.extend(
            class
                .share
                .describe(&format!("predictions of {}", class.class)),
        );
    }
    let classes = explanation
        .classes
        .iter()
        .filter(|class| class.drifted)
        .count();
    if classes > 0 {
        changes.push(format!(
            "embeddings of {classes} of {} classes moved",
            explanation.classes.len()
        ));
    }
    for (at, cluster) in explanation.clusters.iter().enumerate() {
        changes.extend(cluster.describe(&format!("cluster {}", at + 1)));
    }
    changes
}
