//! How often the model is right.

use driftline_core::Rows;

/// Share of labelled rows whose best score is their target; rows whose target the model does not know do not count.
#[derive(Default)]
pub(crate) struct Accuracy {
    correct: u64,
    labelled: u64,
}

impl Accuracy {
    pub(crate) fn add(&mut self, rows: &Rows) {
        let classes = &rows.schema().classes;
        let scores: Vec<&[f32]> = (0..classes.len()).map(|class| rows.scores(class)).collect();
        for (i, target) in rows.targets().iter().enumerate() {
            let Some(target) = target.and_then(|target| classes.iter().position(|c| c == target))
            else {
                continue;
            };
            let best = scores.iter().all(|column| column[i] <= scores[target][i]);
            self.labelled += 1;
            self.correct += u64::from(best);
        }
    }

    pub(crate) fn value(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.correct as f64 / self.labelled as f64)
    }
}
