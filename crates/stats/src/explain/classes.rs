//! Changes of the rows of each predicted class.

use driftline_core::Result;
use serde::Serialize;

use super::shares::ShareChange;
use crate::multiple_testing::benjamini_hochberg;
use crate::{Baseline, DriftTest, Hotelling, Sample, Space, TestOptions, TestOutcome};

/// Rows of a class that baseline and window both need before the class is tested.
const CLASS_ROWS: usize = 10;

/// How the rows of a predicted class changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassChange {
    /// Name of the class.
    pub class: String,
    /// Its share in baseline and window.
    #[serde(flatten)]
    pub share: ShareChange,
    /// [`Hotelling`] between its embeddings.
    pub embeddings: TestOutcome,
    /// Whether its embeddings drifted, with a share `alpha` of false discoveries over the classes.
    pub drifted: bool,
}

/// How each class changed, of which `shares` are known.
pub(super) fn class_changes(
    baseline: &Baseline,
    window: &Sample,
    shares: &[ShareChange],
    options: &TestOptions,
) -> Result<Vec<ClassChange>> {
    let names = &baseline.kept().schema().classes;
    let [before, now] = [baseline.kept(), window].map(|sample| by_class(sample, names.len()));
    let mut changes = Vec::new();
    for (class, (name, share)) in names.iter().zip(shares).enumerate() {
        let [before, now] = [(baseline.kept(), &before[class]), (window, &now[class])]
            .map(|(sample, rows)| sample.select(rows));
        changes.push(ClassChange {
            class: name.clone(),
            share: *share,
            embeddings: match (
                before.space(Space::Embeddings)?,
                now.space(Space::Embeddings)?,
            ) {
                (Some(before), Some(now)) if before.rows().min(now.rows()) >= CLASS_ROWS => {
                    Hotelling::fit(before).test(now, options)?
                }
                _ => TestOutcome::NotEnoughRows {
                    rows: before.rows().min(now.rows()),
                    needed: CLASS_ROWS,
                },
            },
            drifted: false,
        });
    }
    let tested: Vec<usize> = (0..changes.len())
        .filter(|at| changes[*at].embeddings.result().is_some())
        .collect();
    let p_value = |at: &usize| changes[*at].embeddings.result().map(|f| f.p_value);
    let p_values: Vec<f64> = tested.iter().filter_map(p_value).collect();
    for (at, rejected) in tested
        .iter()
        .zip(benjamini_hochberg(&p_values, options.alpha))
    {
        changes[*at].drifted = rejected;
    }
    Ok(changes)
}

/// Rows of each predicted class.
fn by_class(sample: &Sample, classes: usize) -> Vec<Vec<usize>> {
    let mut rows = vec![Vec::new(); classes];
    for (row, class) in sample.predicted().into_iter().enumerate() {
        if let Some(rows) = rows.get_mut(class as usize) {
            rows.push(row);
        }
    }
    rows
}
