//! The rows of a window that stand for its drift.

use driftline_core::Result;

use crate::moments::whitening;
use crate::{Baseline, Moments, Sample, Space, Vectors};

/// Rows of a window that stand for its drift.
const EXEMPLARS: usize = 5;

/// Rows along the direction `Σ⁻¹ Δ` that tells baseline and window apart best.
pub(super) fn exemplars(baseline: &Baseline, window: &Sample) -> Result<Vec<usize>> {
    let (Some(before), Some(now)) = (
        baseline.kept().space(Space::Embeddings)?,
        window.space(Space::Embeddings)?,
    ) else {
        return Ok(Vec::new());
    };
    let direction = direction(before, now)?;
    let along = now.iter().map(|row| -> f64 {
        row.iter()
            .zip(&direction)
            .map(|(x, w)| f64::from(*x) * w)
            .sum()
    });
    let mut along: Vec<(usize, f64)> = along.enumerate().collect();
    along.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    Ok(along
        .into_iter()
        .take(EXEMPLARS)
        .map(|(row, _)| row)
        .collect())
}

fn direction(before: Vectors<'_>, now: Vectors<'_>) -> Result<Vec<f64>> {
    before.same_space(&now)?;
    let [before, now] = [before, now].map(Moments::of);
    let difference: Vec<f64> = now
        .mean()
        .iter()
        .zip(before.mean())
        .map(|(n, b)| n - b)
        .collect();
    let mut all = before;
    all.merge(&now)?;
    let whitening = whitening(&all.ledoit_wolf().0)?;
    let mut direction = vec![0.0; difference.len()];
    for column in whitening.col_iter() {
        let along: f64 = column.iter().zip(&difference).map(|(l, d)| l * d).sum();
        for (sum, l) in direction.iter_mut().zip(column.iter()) {
            *sum += l * along;
        }
    }
    Ok(direction)
}
