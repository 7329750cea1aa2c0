//! What is counted of rows, mergeable.

use arrow_array::Array;
use driftline_core::{Result, Rows};

use crate::binning::SCORE_BINS;
use crate::{Binning, ExactSum};

/// Probabilities below this count as this in the log loss, so that it stays finite.
const LEAST_PROBABILITY: f64 = 1e-15;

/// What was counted of some rows. Every count and sum is exact: counting rows in parts, in any order, and merging the
/// parts gives the same as counting them at once. Two counts merge only if they have the same [`Binning`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows.
    pub rows: u64,
    /// Rows in each cluster; empty as long as there are no clusters.
    pub clusters: Vec<u64>,
    /// One for each class.
    pub scores: Vec<ScoreCounts>,
    /// Rows of each category of the target, then of all others that are not null.
    pub targets: Vec<u64>,
    /// Rows whose target no row of the baseline has.
    pub target_outside: u64,
    /// Rows without a target.
    pub target_nulls: u64,
    /// Rows whose highest score is that of each class, of equal ones the first.
    pub predictions: Vec<u64>,
    /// Rows whose target is a class.
    pub labelled: u64,
    /// Those of them whose target has the highest score.
    pub correct: u64,
    /// Sum over them of `-ln p`, p the score of the target, at least 1e-15.
    pub log_loss: ExactSum,
    /// Rows with a value in any column that the baseline did not have, see [`Metric`](crate::Metric).
    pub violating: Violating,
}

/// Scores of one class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScoreCounts {
    /// Sum of the scores.
    pub sum: ExactSum,
    /// Rows in each bin of [`Binning::score_edges`].
    pub histogram: [u64; SCORE_BINS],
    /// Rows whose score is outside what the baseline had.
    pub outside: u64,
}

/// Rows with a violation in any column.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Violating {
    /// A value is missing where the baseline has one in every row.
    pub null: u64,
    /// A number or a category is outside what the baseline has.
    pub range: u64,
    /// One or the other.
    pub any: u64,
}

impl RowCounts {
    /// Of no rows.
    pub fn new(binning: &Binning) -> Self {
        let classes = binning.classes.len();
        Self {
            rows: 0,
            clusters: vec![0; binning.clusters()],
            scores: vec![ScoreCounts::default(); classes],
            targets: vec![0; binning.categories.len() + 1],
            target_outside: 0,
            target_nulls: 0,
            predictions: vec![0; classes],
            labelled: 0,
            correct: 0,
            log_loss: ExactSum::default(),
            violating: Violating::default(),
        }
    }

    /// Counts the rows `chosen` of `rows`.
    pub(crate) fn add(&mut self, rows: &Rows, chosen: &[usize], binning: &Binning) -> Result<()> {
        self.rows += chosen.len() as u64;
        self.add_embeddings(rows, chosen, binning)?;
        let classes = binning.classes.len();
        let scores: Vec<&[f32]> = (0..classes).map(|class| rows.scores(class)).collect();
        let targets = rows.targets();
        for row in chosen.iter().copied() {
            let mut outside = false;
            let mut best = None;
            for (class, column) in scores.iter().enumerate() {
                let score = column[row];
                let (bin, out) = binning.score_bin(class, score);
                let counts = &mut self.scores[class];
                counts.sum.add(f64::from(score));
                counts.histogram[bin] += 1;
                counts.outside += u64::from(out);
                outside |= out;
                if best.is_none_or(|(_, greatest)| score > greatest) {
                    best = Some((class, score));
                }
            }
            if let Some((class, _)) = best {
                self.predictions[class] += 1;
            }
            let target = targets.is_valid(row).then(|| targets.value(row));
            match target {
                None => self.target_nulls += 1,
                Some(target) => {
                    let category = binning.category(target);
                    self.targets[category] += 1;
                    let unseen = binning.targets_known && category == binning.categories.len();
                    self.target_outside += u64::from(unseen);
                    outside |= unseen;
                    if let Some(class) = binning.class(target) {
                        self.labelled += 1;
                        self.correct += u64::from(best.is_some_and(|(best, _)| best == class));
                        let p = f64::from(scores[class][row]).max(LEAST_PROBABILITY);
                        self.log_loss.add(-p.ln());
                    }
                }
            }
            let null = target.is_none() && binning.targets_known && !binning.nulls_known;
            self.violating.null += u64::from(null);
            self.violating.range += u64::from(outside);
            self.violating.any += u64::from(null || outside);
        }
        Ok(())
    }

    fn add_embeddings(&mut self, rows: &Rows, chosen: &[usize], binning: &Binning) -> Result<()> {
        let Some(clusters) = &binning.clusters else {
            return Ok(());
        };
        let (dim, all) = (rows.schema().dim, rows.embeddings());
        let counts = if chosen.len() == rows.len() {
            clusters.histogram(all)?
        } else {
            let mut some = Vec::with_capacity(chosen.len() * dim);
            for row in chosen {
                some.extend_from_slice(&all[row * dim..][..dim]);
            }
            clusters.histogram(&some)?
        };
        add_counts(&mut self.clusters, &counts);
        Ok(())
    }

    /// Adds what another with the same binning counted.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        add_counts(&mut self.clusters, &other.clusters);
        for (score, more) in self.scores.iter_mut().zip(&other.scores) {
            score.sum.merge(more.sum);
            add_counts(&mut score.histogram, &more.histogram);
            score.outside += more.outside;
        }
        add_counts(&mut self.targets, &other.targets);
        self.target_outside += other.target_outside;
        self.target_nulls += other.target_nulls;
        add_counts(&mut self.predictions, &other.predictions);
        self.labelled += other.labelled;
        self.correct += other.correct;
        self.log_loss.merge(other.log_loss);
        self.violating.null += other.violating.null;
        self.violating.range += other.violating.range;
        self.violating.any += other.violating.any;
    }

    /// Share of the labelled rows whose target has the highest score; `None` without any.
    pub fn accuracy(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.correct as f64 / self.labelled as f64)
    }

    /// Mean of `-ln p` over the labelled rows, p the score of the target; `None` without any.
    pub fn log_loss(&self) -> Option<f64> {
        (self.labelled > 0).then(|| self.log_loss.value() / self.labelled as f64)
    }
}

fn add_counts(sums: &mut [u64], counts: &[u64]) {
    for (sum, count) in sums.iter_mut().zip(counts) {
        *sum += count;
    }
}
