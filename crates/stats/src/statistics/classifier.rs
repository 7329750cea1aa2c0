//! Whether a classifier can tell the rows of a window from those of the baseline.

use driftline_core::Result;
use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use rand::seq::SliceRandom;
use rayon::prelude::*;

use crate::moments::whitening;
use crate::permutation::{generator, independent_rows};
use crate::{DriftTest, Moments, NullDistribution, TestOptions, TestOutcome, Vectors};

/// Parts that the rows are dealt into: each is scored by a classifier that was trained on the others.
const FOLDS: usize = 5;

/// Permutations that are trained at once.
const BATCH: usize = 32;

/// Permutations of the logistic regression, which takes a hundred times the work of the discriminant analysis.
const LOGISTIC_PERMUTATIONS: usize = 199;

/// Steps of the logistic regression.
const STEPS: usize = 10;

/// Weight of the squared length in the logistic regression, as scikit-learn's `C = 1`.
const RIDGE: f64 = 1.0;

/// Which classifier is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Classifier {
    /// Linear discriminant analysis with the covariance of all rows, Ledoit-Wolf shrunk.
    Discriminant,
    /// Logistic regression with a squared penalty, ten steps from no weights: a stop that early is a penalty too.
    Logistic,
}

/// The area under the ROC curve of a classifier that was trained to tell the window from the baseline, on rows that it was not
/// trained on, in five folds.
///
/// The rows are standardised with all pooled rows and dealt into folds in which the window has the same share;
/// permutations are within the folds and retrain the classifier, so the test is exact. (A Mann-Whitney test of the scores
/// is not: every row was trained on in four folds, and at a level of 5 % such a test alarms at one in ten clean windows.)
///
/// | | |
/// | --- | --- |
/// | value | 0.5 where baseline and window cannot be told apart, 1 where they always can |
/// | cost | in each permutation all rows twice, `2 (n + m) d`, and their order; forty times that for the logistic regression, with at most 199 permutations |
/// | not for | a change that no line separates, as of the spread |
///
/// Lopez-Paz and Oquab 2017; the bound on the curvature with which the logistic regression steps is that of Böhning 1992.
#[derive(Debug, Clone)]
pub struct DomainClassifier {
    rows: Vec<f32>,
    dim: usize,
    classifier: Classifier,
}

impl DomainClassifier {
    /// Keeps the baseline's rows.
    pub fn fit(baseline: Vectors<'_>, classifier: Classifier) -> Self {
        Self {
            rows: baseline.values().to_vec(),
            dim: baseline.dim(),
            classifier,
        }
    }
}

impl DriftTest for DomainClassifier {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.rows, self.dim);
        baseline.same_space(&window)?;
        let samples = [baseline, window].map(|sample| independent_rows(sample, options));
        let fewer = samples[0].len().min(samples[1].len()) / self.dim;
        if fewer < FOLDS {
            return Ok(TestOutcome::NotEnoughRows {
                rows: fewer,
                needed: FOLDS,
            });
        }
        let folds = Folds::new(&samples, self.dim, self.classifier, options.seed)?;
        let permutations = match self.classifier {
            Classifier::Discriminant => options.permutations,
            Classifier::Logistic => options.permutations.min(LOGISTIC_PERMUTATIONS),
        };
        let observed = folds.aucs(&[folds.own_labels()]);
        let permutations: Vec<u64> = (0..permutations as u64).collect();
        let permuted = permutations
            .par_chunks(BATCH)
            .flat_map_iter(|permutations| {
                let labels: Vec<_> = (permutations.iter())
                    .map(|permutation| folds.labels(options.seed, *permutation))
                    .collect();
                folds.aucs(&labels)
            });
        let null = NullDistribution::new(observed[0], permuted.collect());
        Ok(TestOutcome::Tested(null.result(options.alpha)))
    }
}

/// The area under the ROC curve: the share of pairs in which the window's row has the higher score, of equal scores half.
/// 0.5 without rows of either.
pub fn roc_auc(baseline: &[f32], window: &[f32]) -> f64 {
    let of = |scores: &[f32], label| {
        scores
            .iter()
            .map(|score| (*score, label))
            .collect::<Vec<_>>()
    };
    auc_of([of(baseline, false), of(window, true)].concat())
}

fn auc_of(mut scores: Vec<(f32, bool)>) -> f64 {
    scores.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut above, mut twice) = (0_u64, 0_u64, 0_u64);
    for equal in scores.chunk_by(|a, b| a.0 == b.0) {
        let window = equal.iter().filter(|score| score.1).count() as u64;
        let baseline = equal.len() as u64 - window;
        twice += window * (2 * below + baseline);
        below += baseline;
        above += window;
    }
    if below == 0 || above == 0 {
        return 0.5;
    }
    twice as f64 / (2.0 * below as f64 * above as f64)
}

/// The pooled rows, dealt into folds.
struct Folds {
    folds: Vec<Fold>,
    classifier: Classifier,
}

/// A part of the rows, and what is the same in all trainings on the others.
struct Fold {
    /// One row a column: those of the baseline, then those of the window.
    rows: Mat<f32>,
    window: usize,
    training: Training,
}

struct Training {
    rows: f32,
    window: f32,
    mean: Mat<f32>,
    /// The inverse of the covariance, or of a bound on the curvature of the logistic loss.
    inverse: Mat<f32>,
}

/// Which rows of each fold are the window's.
type Labels = [Vec<bool>; FOLDS];

impl Folds {
    fn new(samples: &[Vec<f32>; 2], dim: usize, classifier: Classifier, seed: u64) -> Result<Self> {
        let (mean, scale) = standard(samples, dim)?;
        let mut dealt: [Vec<f32>; FOLDS] = Default::default();
        let mut counts = [[0; FOLDS]; 2];
        // No permutation has this generator.
        let mut random = generator(seed, u64::MAX);
        for (sample, counts) in samples.iter().zip(&mut counts) {
            let mut rows: Vec<&[f32]> = sample.chunks_exact(dim).collect();
            rows.shuffle(&mut random);
            for (at, row) in rows.into_iter().enumerate() {
                let standardised = (row.iter().zip(&mean).zip(&scale))
                    .map(|((value, mean), scale)| ((f64::from(*value) - mean) * scale) as f32);
                dealt[at % FOLDS].extend(standardised);
                counts[at % FOLDS] += 1;
            }
        }
        let moments = (dealt.iter())
            .map(|rows| Ok(Moments::of(Vectors::new("a fold", rows, dim)?)))
            .collect::<Result<Vec<_>>>()?;
        let folds = (dealt.iter().enumerate())
            .map(|(fold, rows)| {
                let mut others = Moments::new(dim);
                let mut window = 0;
                for other in (0..FOLDS).filter(|other| *other != fold) {
                    others.merge(&moments[other])?;
                    window += counts[1][other];
                }
                Ok(Fold {
                    rows: MatRef::from_column_major_slice(rows, dim, rows.len() / dim).to_owned(),
                    window: counts[1][fold],
                    training: Training::new(&others, window, classifier)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { folds, classifier })
    }

    fn own_labels(&self) -> Labels {
        std::array::from_fn(|fold| {
            let Fold { rows, window, .. } = &self.folds[fold];
            let baseline = rows.ncols() - window;
            (0..rows.ncols()).map(|row| row >= baseline).collect()
        })
    }

    /// Those of a permutation, with as many rows of the window in each fold.
    fn labels(&self, seed: u64, permutation: u64) -> Labels {
        let mut random = generator(seed, permutation);
        std::array::from_fn(|fold| {
            let Fold { rows, window, .. } = &self.folds[fold];
            let mut labels = vec![false; rows.ncols()];
            for row in rand::seq::index::sample(&mut random, rows.ncols(), *window) {
                labels[row] = true;
            }
            labels
        })
    }

    /// The area under the curve for each of some labels.
    fn aucs(&self, labels: &[Labels]) -> Vec<f64> {
        // [rows, labels] of 0 and 1.
        let ones: Vec<Mat<f32>> = (self.folds.iter().enumerate())
            .map(|(fold, Fold { rows, .. })| {
                Mat::from_fn(rows.ncols(), labels.len(), |row, at| {
                    f32::from(u8::from(labels[at][fold][row]))
                })
            })
            .collect();
        let scores: Vec<Mat<f32>> = match self.classifier {
            Classifier::Discriminant => self.discriminants(&ones),
            Classifier::Logistic => (0..FOLDS).map(|fold| self.logistic(fold, &ones)).collect(),
        };
        (labels.iter().enumerate())
            .map(|(at, labels)| {
                let folds = scores.iter().zip(labels);
                let pairs = folds.flat_map(|(scores, labels)| {
                    scores.col(at).iter().copied().zip(labels.iter().copied())
                });
                auc_of(pairs.collect())
            })
            .collect()
    }

    /// Scores of the rows of each fold, `[rows, labels]`.
    fn discriminants(&self, ones: &[Mat<f32>]) -> Vec<Mat<f32>> {
        let sums: Vec<Mat<f32>> = (self.folds.iter().zip(ones))
            .map(|(fold, ones)| product(fold.rows.as_ref(), ones.as_ref()))
            .collect();
        (self.folds.iter().enumerate())
            .map(|(fold, Fold { rows, training, .. })| {
                let mut windows = Mat::zeros(rows.nrows(), ones[0].ncols());
                for other in (0..FOLDS).filter(|other| *other != fold) {
                    windows += &sums[other];
                }
                let baseline_rows = training.rows - training.window;
                let of_both = |row: usize, at: usize| {
                    let window = windows[(row, at)] / training.window;
                    let all = training.mean[(row, 0)] * training.rows;
                    (window, (all - windows[(row, at)]) / baseline_rows)
                };
                let (height, width) = (windows.nrows(), windows.ncols());
                let differences = Mat::from_fn(height, width, |row, at| {
                    let (window, baseline) = of_both(row, at);
                    window - baseline
                });
                let weights = product(training.inverse.as_ref(), differences.as_ref());
                let mut scores = product(rows.transpose(), weights.as_ref());
                for at in 0..width {
                    // Scores of all folds are about the middle of the two means.
                    let middle: f32 = (0..height)
                        .map(|row| {
                            let (window, baseline) = of_both(row, at);
                            (window + baseline) / 2.0 * weights[(row, at)]
                        })
                        .sum();
                    scores
                        .col_mut(at)
                        .iter_mut()
                        .for_each(|score| *score -= middle);
                }
                scores
            })
            .collect()
    }

    /// Scores of the rows of a fold, `[rows, labels]`.
    fn logistic(&self, fold: usize, ones: &[Mat<f32>]) -> Mat<f32> {
        let Fold { rows, training, .. } = &self.folds[fold];
        let count = ones[0].ncols();
        let share = training.window / training.rows;
        let mut weights = Mat::<f32>::zeros(rows.nrows(), count);
        let mut intercepts = vec![(share / (1.0 - share)).ln(); count];
        let scores = |rows: &Mat<f32>, weights: &Mat<f32>, intercepts: &[f32]| {
            let mut scores = product(rows.transpose(), weights.as_ref());
            let shift = product(training.mean.transpose(), weights.as_ref());
            for (at, intercept) in intercepts.iter().enumerate() {
                let shift = intercept - shift[(0, at)];
                scores
                    .col_mut(at)
                    .iter_mut()
                    .for_each(|score| *score += shift);
            }
            scores
        };
        for _ in 0..STEPS {
            let mut gradient = Mat::<f32>::zeros(rows.nrows(), count);
            let mut sums = vec![0.0; count];
            for other in (0..FOLDS).filter(|other| *other != fold) {
                let rows = &self.folds[other].rows;
                let mut residual = scores(rows, &weights, &intercepts);
                for (at, sum) in sums.iter_mut().enumerate() {
                    for (score, one) in residual
                        .col_mut(at)
                        .iter_mut()
                        .zip(ones[other].col(at).iter())
                    {
                        *score = one - (1.0 + (-*score).exp()).recip();
                        *sum += *score;
                    }
                }
                gradient += product(rows.as_ref(), residual.as_ref());
            }
            // About the mean, where weights and intercept do not depend on each other.
            for (at, sum) in sums.iter().enumerate() {
                for row in 0..rows.nrows() {
                    gradient[(row, at)] -=
                        sum * training.mean[(row, 0)] + RIDGE as f32 * weights[(row, at)];
                }
                intercepts[at] += 4.0 * sum / training.rows;
            }
            weights += product(training.inverse.as_ref(), gradient.as_ref());
        }
        scores(rows, &weights, &intercepts)
    }
}

impl Training {
    fn new(moments: &Moments, window: usize, classifier: Classifier) -> Result<Self> {
        let n = moments.rows() as f64;
        let metric = match classifier {
            Classifier::Discriminant => moments.ledoit_wolf().0,
            Classifier::Logistic => {
                let mut bound = moments.covariance() * faer::Scale(n / 4.0);
                for at in 0..moments.dim() {
                    bound[(at, at)] += RIDGE;
                }
                bound
            }
        };
        let whitening = whitening(&metric)?;
        let inverse = &whitening * whitening.transpose();
        let mean = moments.mean();
        let narrow = |matrix: MatRef<'_, f64>| {
            Mat::from_fn(matrix.nrows(), matrix.ncols(), |row, column| {
                matrix[(row, column)] as f32
            })
        };
        Ok(Self {
            rows: n as f32,
            window: window as f32,
            mean: narrow(MatRef::from_column_major_slice(&mean, mean.len(), 1)),
            inverse: narrow(inverse.as_ref()),
        })
    }
}

/// Mean and inverse standard deviation of each column of the pooled rows; 0 for one that never changes.
fn standard(samples: &[Vec<f32>; 2], dim: usize) -> Result<(Vec<f64>, Vec<f64>)> {
    let mut all = Moments::of(Vectors::new("the baseline", &samples[0], dim)?);
    all.merge(&Moments::of(Vectors::new("the window", &samples[1], dim)?))?;
    let (mean, covariance) = (all.mean(), all.covariance());
    let scale = (covariance.diagonal().column_vector().iter().zip(&mean))
        .map(|(variance, mean)| {
            // No more than the rounding of the values.
            let constant = *variance <= (mean * f64::from(f32::EPSILON)).powi(2);
            if constant {
                0.0
            } else {
                variance.sqrt().recip()
            }
        })
        .collect();
    Ok((mean, scale))
}

fn product(left: MatRef<'_, f32>, right: MatRef<'_, f32>) -> Mat<f32> {
    let mut product = Mat::zeros(left.nrows(), right.ncols());
    matmul(product.as_mut(), Accum::Replace, left, right, 1.0, Par::Seq);
    product
}
