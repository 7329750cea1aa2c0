//! What drifted, in words.

use driftline_core::Result;
use driftline_properties::PROPERTIES;
use serde::Serialize;

use crate::ks::ks;
use crate::moments::whitening;
use crate::multiple::benjamini_hochberg;
use crate::scores::prediction;
use crate::{
    Accuracy, Answer, Baseline, DriftTest, Estimate, EstimatedAccuracy, Hotelling, Moments, Sample,
    Space, Statistic, TestOptions, Vectors, Verdict,
};

/// Rows of a window that stand for its drift.
const EXEMPLARS: usize = 5;

/// Rows of a class that both sides need before the class is tested.
const CLASS_ROWS: usize = 10;

/// Shares of clusters and classes that changed by less standard errors than this are not told.
const NOTABLE: f64 = 4.0;

/// A p-value from which on a difference between baseline and window is beyond doubt.
const CERTAIN: f64 = 0.001;

/// What changed between baseline and window.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Explanation {
    /// The changes worth telling, the largest first, as in `brightness -49 %`.
    pub words: Vec<String>,
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
    /// What makes the answers doubtful.
    pub warnings: Vec<String>,
}

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

/// How the rows of a predicted class changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassChange {
    /// Name of the class.
    pub class: String,
    /// Its share in baseline and window.
    #[serde(flatten)]
    pub share: ShareChange,
    /// [`Hotelling`] between its embeddings.
    pub embeddings: Answer,
    /// Whether its embeddings drifted, with a share `alpha` of false discoveries over the classes.
    pub drifted: bool,
}

/// How a share of rows changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ShareChange {
    /// Share of the baseline, 0..=1.
    pub baseline: f64,
    /// Share of the window.
    pub window: f64,
    /// The difference in standard errors.
    pub shift: f64,
}

impl ShareChange {
    fn new(baseline: (u64, u64), window: (u64, u64)) -> Self {
        let share = |(count, all): (u64, u64)| count as f64 / (all as f64).max(1.0);
        let pooled = share((baseline.0 + window.0, baseline.1 + window.1));
        let inverse = 1.0 / (baseline.1 as f64).max(1.0) + 1.0 / (window.1 as f64).max(1.0);
        let error = (pooled * (1.0 - pooled) * inverse).sqrt();
        let difference = share(window) - share(baseline);
        Self {
            baseline: share(baseline),
            window: share(window),
            shift: if error > 0.0 { difference / error } else { 0.0 },
        }
    }

    /// As in `3.1 % -> 9.8 %`, if it is worth telling.
    fn words(&self, what: &str) -> Option<String> {
        let way = if self.shift > 0.0 { "grew" } else { "shrank" };
        (self.shift.abs() >= NOTABLE).then(|| {
            format!(
                "{what} {way} {:.1} % -> {:.1} %",
                100.0 * self.baseline,
                100.0 * self.window
            )
        })
    }
}

impl Baseline {
    /// What changed in the window.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn explain(&self, window: &Sample, options: &TestOptions) -> Result<Explanation> {
        let options = &self.tested(options)?;
        let profile = self.plan().profile(window)?;
        let counts = |baseline: &[u64], window: &[u64]| -> Vec<ShareChange> {
            let all = (self.rows(), profile.rows());
            let each = baseline.iter().zip(window);
            each.map(|(b, w)| ShareChange::new((*b, all.0), (*w, all.1)))
                .collect()
        };
        let mut explanation = Explanation {
            properties: self.properties(window, options)?,
            classes: self.classes(
                window,
                &counts(&self.profile().classes, &profile.classes),
                options,
            )?,
            clusters: counts(&self.profile().clusters, &profile.clusters),
            exemplars: self.exemplars(window)?,
            accuracy: self.accuracy(window, options)?,
            ..Explanation::default()
        };
        explanation.words = words(&explanation);
        explanation.warnings.extend(self.doubt(window, options)?);
        Ok(explanation)
    }

    fn properties(&self, window: &Sample, options: &TestOptions) -> Result<Vec<PropertyChange>> {
        let (Some(before), Some(now)) = (
            self.kept().space(Space::Properties)?,
            window.space(Space::Properties)?,
        ) else {
            return Ok(Vec::new());
        };
        before.same_space(&now)?;
        let names = self.kept().schema().properties.iter().enumerate();
        let mut changes: Vec<PropertyChange> = names
            .map(|(at, name)| {
                let columns = [before, now].map(|rows| rows.component(at).collect::<Vec<f32>>());
                let [(baseline, deviation), (window, _)] =
                    [&columns[0], &columns[1]].map(|values| mean_and_deviation(values));
                PropertyChange {
                    name: name.clone(),
                    baseline,
                    window,
                    shift: if deviation > 0.0 {
                        (window - baseline) / deviation
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

    fn classes(
        &self,
        window: &Sample,
        shares: &[ShareChange],
        options: &TestOptions,
    ) -> Result<Vec<ClassChange>> {
        let names = &self.kept().schema().classes;
        let [before, now] = [self.kept(), window].map(|sample| by_class(sample, names.len()));
        let mut changes = Vec::new();
        for (class, (name, share)) in names.iter().zip(shares).enumerate() {
            let [before, now] = [(self.kept(), &before[class]), (window, &now[class])]
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
                    _ => Answer::NotEnoughRows {
                        rows: before.rows().min(now.rows()),
                        needed: CLASS_ROWS,
                    },
                },
                drifted: false,
            });
        }
        let tested: Vec<usize> = (0..changes.len())
            .filter(|at| changes[*at].embeddings.finding().is_some())
            .collect();
        let p_value = |at: &usize| changes[*at].embeddings.finding().map(|f| f.p_value);
        let p_values: Vec<f64> = tested.iter().filter_map(p_value).collect();
        for (at, rejected) in tested
            .iter()
            .zip(benjamini_hochberg(&p_values, options.alpha))
        {
            changes[*at].drifted = rejected;
        }
        Ok(changes)
    }

    /// Rows along the direction `Σ⁻¹ Δ` that tells baseline and window apart best.
    fn exemplars(&self, window: &Sample) -> Result<Vec<usize>> {
        let (Some(before), Some(now)) = (
            self.kept().space(Space::Embeddings)?,
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

    fn accuracy(&self, window: &Sample, options: &TestOptions) -> Result<Option<ExpectedAccuracy>> {
        let targets = self.kept().targets().iter().enumerate();
        let (rows, labels): (Vec<usize>, Vec<usize>) = targets
            .filter_map(|(row, target)| Some((row, (*target)? as usize)))
            .unzip();
        let labelled = self.kept().select(&rows);
        let (Some(before), Some(now)) =
            (labelled.space(Space::Scores)?, window.space(Space::Scores)?)
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

    /// Whether the baseline may be made of the images that the model was trained on: the model is surer of them than of
    /// unseen images that look the same.
    fn doubt(&self, window: &Sample, options: &TestOptions) -> Result<Option<String>> {
        let [before, now] = [self.kept(), window].map(confidence);
        let [(surer, _), (less, _)] = [&before, &now].map(|values| mean_and_deviation(values));
        if before.is_empty() || now.is_empty() || surer <= less || ks(&before, &now).1 > CERTAIN {
            return Ok(None);
        }
        let images = self.check(window, &[Statistic::Properties], options)?;
        Ok((images.verdict == Verdict::None).then(|| {
            format!(
                "the model is surer of the baseline ({surer:.3} on average) than of this window ({less:.3}), though its images \
                 look the same: the content changed, or the baseline holds images that the model was trained on; a baseline of \
                 images that the model has not seen tells which"
            )
        }))
    }
}

fn words(explanation: &Explanation) -> Vec<String> {
    let mut drifted: Vec<&PropertyChange> = explanation
        .properties
        .iter()
        .filter(|p| p.drifted)
        .collect();
    drifted.sort_by(|a, b| b.shift.abs().total_cmp(&a.shift.abs()));
    let mut words: Vec<String> = drifted.into_iter().map(property_words).collect();
    for class in &explanation.classes {
        words.extend(
            class
                .share
                .words(&format!("predictions of {}", class.class)),
        );
    }
    let classes = explanation
        .classes
        .iter()
        .filter(|class| class.drifted)
        .count();
    if classes > 0 {
        words.push(format!(
            "embeddings of {classes} of {} classes moved",
            explanation.classes.len()
        ));
    }
    for (at, cluster) in explanation.clusters.iter().enumerate() {
        words.extend(cluster.words(&format!("cluster {}", at + 1)));
    }
    words
}

fn property_words(change: &PropertyChange) -> String {
    let known = PROPERTIES
        .iter()
        .find(|property| property.name == change.name);
    let difference = change.window - change.baseline;
    if known.is_some_and(|property| property.relative) && change.baseline > 0.0 {
        format!(
            "{} {:+.0} %",
            change.name,
            100.0 * difference / change.baseline
        )
    } else {
        format!("{} {difference:+.2}", change.name)
    }
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

/// The best score of each row; empty for a model without classes.
fn confidence(sample: &Sample) -> Vec<f32> {
    match sample.space(Space::Scores) {
        Ok(Some(scores)) => scores.iter().map(|row| prediction(row).1).collect(),
        _ => Vec::new(),
    }
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

fn mean_and_deviation(values: &[f32]) -> (f64, f64) {
    let n = (values.len() as f64).max(1.0);
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / n;
    let squares = values
        .iter()
        .map(|value| (f64::from(*value) - mean).powi(2));
    (mean, (squares.sum::<f64>() / n).sqrt())
}
