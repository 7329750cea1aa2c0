//! Drift of what the model says.

use driftline_core::Result;

use crate::division::{check, independent};
use crate::{Answer, Distance, DriftTest, TestOptions, Vectors, counts};

/// The distance between the shares of the predicted classes in baseline and window, by permutation of counts (black box shift
/// detection, BBSDh): a change of the mix of classes, or of the errors that the model makes.
///
/// | | |
/// | --- | --- |
/// | value | Jensen-Shannon distance of the shares, 0 to 0.8326 |
/// | cost | a pass over the scores, and `divisions · classes` draws whatever the rows |
/// | not for | a change that leaves every prediction as it is |
///
/// Lipton, Wang and Smola 2018; Rabanser, Günnemann and Lipton 2019.
#[derive(Debug, Clone)]
pub struct PredictionShift {
    scores: Vec<f32>,
    classes: usize,
    counts: Vec<u64>,
}

impl PredictionShift {
    /// Counts the best class of each row of scores.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        Self {
            counts: best_classes(baseline),
            scores: baseline.values().to_vec(),
            classes: baseline.dim(),
        }
    }
}

impl DriftTest for PredictionShift {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<Answer> {
        check(options)?;
        let baseline = Vectors::checked(&self.scores, self.classes);
        baseline.same_space(&window)?;
        let thinned;
        let before = if options.block > 1 {
            let rows = independent(baseline, options);
            thinned = best_classes(Vectors::checked(&rows, self.classes));
            &thinned
        } else {
            &self.counts
        };
        let rows = independent(window, options);
        let now = best_classes(Vectors::checked(&rows, self.classes));
        counts::answer(Distance::Jsd, before, &now, options)
    }
}

/// Rows for which each class has the best score, the first of equal ones.
fn best_classes(scores: Vectors<'_>) -> Vec<u64> {
    let mut counts = vec![0; scores.dim()];
    for row in scores.iter() {
        let mut best = 0;
        for (class, score) in row.iter().enumerate() {
            if *score > row[best] {
                best = class;
            }
        }
        counts[best] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::division::random;

    /// One row of scores for each of `rows` classes drawn with these shares.
    fn scores(rows: usize, shares: &[f64], seed: u64) -> Vec<f32> {
        let mut random = random(seed, 0);
        let mut values = Vec::new();
        for _ in 0..rows {
            let mut at: f64 = random.random::<f64>() * shares.iter().sum::<f64>();
            let class = shares.iter().position(|share| {
                at -= share;
                at < 0.0
            });
            let class = class.unwrap_or(shares.len() - 1);
            values.extend((0..shares.len()).map(|i| if i == class { 0.9 } else { 0.1 }));
        }
        values
    }

    fn p_value(shares: &[f64], rows: usize, seed: u64) -> f64 {
        let even = [1.0; 10];
        let baseline = scores(5_000, &even, 1_000 + seed);
        let window = scores(rows, shares, seed);
        let fitted = PredictionShift::fit(Vectors::new("scores", &baseline, 10).unwrap());
        let window = Vectors::new("scores", &window, 10).unwrap();
        let answer = fitted.test(window, &TestOptions::default()).unwrap();
        answer.finding().unwrap().p_value
    }

    #[test]
    fn a_class_halved_is_seen_and_an_equal_mix_is_not() {
        let mut halved = [1.0; 10];
        halved[3] = 0.5;
        let seen = (0..40).filter(|seed| p_value(&halved, 1_000, *seed) <= 0.05);
        assert!(seen.count() >= 36);
        let alarms = (0..400).filter(|seed| p_value(&[1.0; 10], 50, *seed) <= 0.05);
        // 20 are expected, with a standard error of 4.4.
        let alarms = alarms.count();
        assert!((8..=32).contains(&alarms), "{alarms}");
    }

    #[test]
    fn no_rows_are_no_answer_and_other_classes_an_error() {
        let fitted = PredictionShift::fit(Vectors::new("scores", &[0.1, 0.9], 2).unwrap());
        let options = TestOptions::default();
        let none = Vectors::new("scores", &[], 2).unwrap();
        assert!(fitted.test(none, &options).unwrap().finding().is_none());
        let other = Vectors::new("scores", &[0.1, 0.2, 0.7], 3).unwrap();
        assert!(fitted.test(other, &options).is_err());
    }
}
