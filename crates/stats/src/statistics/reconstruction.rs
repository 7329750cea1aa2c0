//! How well the baseline's principal components describe a window.

use driftline_core::{Error, ErrorKind, Result};
use faer::{Mat, MatRef, Side};
use rayon::prelude::*;

use crate::permutation::{Blocks, split_halves};
use crate::{DriftTest, Moments, TestOptions, TestOutcome, TestResult, Vectors};

/// The share of the variance that the components keep.
const KEPT: f64 = 0.65;

/// Rows whose errors are computed at once.
const CHUNK: usize = 256;

const SEED: u64 = 42;

/// The mean distance `|x - x̂|` of standardised rows to the principal components that keep 65 % of the baseline's variance.
///
/// Scale and components come from one half of the baseline and the errors that the window's are compared with from the other:
/// those of the rows that the components were fitted to are too small.
///
/// | | |
/// | --- | --- |
/// | value | mean error of the window's rows, in standard deviations of the baseline, 0 upwards; `effect` has a sign: above 0 where rows fit worse, below where they fit better, and both are drift |
/// | cost | one product of the window with the components, and `permutations` sums of at most about 100 numbers |
/// | not for | a change within the components, as of the mean along them; weak beside the other statistics |
///
/// The statistic of NannyML's data reconstruction.
#[derive(Debug, Clone)]
pub struct Reconstruction {
    components: PrincipalComponents,
    held_out: Vec<f32>,
}

impl Reconstruction {
    /// Fits the components to one half of the baseline and takes the errors of the other; its rows depend on each other over
    /// `block` rows, see [`TestOptions::block`].
    ///
    /// # Errors
    /// `InvalidData` if the baseline has no principal components.
    pub fn fit(baseline: Vectors<'_>, block: usize) -> Result<Self> {
        let [fitted, held_out] = split_halves(baseline, block, SEED);
        let components =
            PrincipalComponents::fit(Vectors::new("the baseline", &fitted, baseline.dim())?)?;
        let held_out = narrow(components.errors(&held_out));
        Ok(Self {
            components,
            held_out,
        })
    }
}

impl DriftTest for Reconstruction {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        Vectors::checked(&[], self.components.mean.len()).same_space(&window)?;
        let errors = narrow(self.components.errors(window.values()));
        let samples = [&self.held_out, &errors].map(|errors| Vectors::new("errors", errors, 1));
        let [held_out, window] = samples;
        let blocks = match Blocks::new(held_out?, window?, options) {
            Ok(blocks) => blocks,
            Err(outcome) => return Ok(outcome),
        };
        let null = blocks.null_distribution(|difference| difference[0].powi(2));
        let (expected, effect) = (mean(&self.held_out), blocks.difference()[0]);
        Ok(TestOutcome::Tested(TestResult {
            value: expected + effect,
            expected,
            effect,
            p_value: null.p_value(),
            minimum_detectable_effect: null.minimum_detectable_square(options.alpha).sqrt(),
        }))
    }
}

/// A standardisation and the directions that are kept after it.
#[derive(Debug, Clone)]
struct PrincipalComponents {
    mean: Vec<f64>,
    scale: Vec<f64>,
    /// One a column.
    kept: Mat<f64>,
}

impl PrincipalComponents {
    fn fit(rows: Vectors<'_>) -> Result<Self> {
        let moments = Moments::of(rows);
        let covariance = moments.covariance();
        let mean = moments.mean();
        let variances = covariance.diagonal().column_vector().iter();
        let scale: Vec<f64> = (variances.zip(&mean))
            .map(|(variance, mean)| {
                // A column that never changed is left as it is, as in scikit-learn; its variance may be a rounding error.
                let rounding = (mean * f64::from(f32::EPSILON)).powi(2);
                if *variance > rounding {
                    variance.sqrt()
                } else {
                    1.0
                }
            })
            .collect();
        let dim = rows.dim();
        let correlation = Mat::from_fn(dim, dim, |row, column| {
            covariance[(row, column)] / (scale[row] * scale[column])
        });
        let eigen = correlation
            .self_adjoint_eigen(Side::Lower)
            .map_err(|cause| {
                let message = "the correlation has no eigenvalues";
                Error::new(ErrorKind::InvalidData, "compare rows", message)
                    .because(format!("{cause:?}"))
            })?;
        let values = eigen.S().column_vector();
        let total: f64 = values.iter().sum();
        let mut left = KEPT * total;
        // From the largest: as many as it takes to go beyond the share.
        let count = (values.iter().rev())
            .take_while(|value| {
                let take = left >= 0.0 && total > 0.0;
                left -= **value;
                take
            })
            .count();
        Ok(Self {
            mean,
            scale,
            kept: eigen.U().subcols(dim - count, count).to_owned(),
        })
    }

    /// The error of each row.
    fn errors(&self, rows: &[f32]) -> Vec<f64> {
        let dim = self.mean.len();
        let of_chunk = |rows: &[f32]| -> Vec<f64> {
            let standard = || self.mean.iter().zip(&self.scale).cycle();
            let rows: Vec<f64> = (rows.iter().zip(standard()))
                .map(|(value, (mean, scale))| (f64::from(*value) - mean) / scale)
                .collect();
            let rows = MatRef::from_column_major_slice(&rows, dim, rows.len() / dim);
            let residual = rows - &self.kept * (self.kept.transpose() * rows);
            residual.col_iter().map(|row| row.norm_l2()).collect()
        };
        rows.par_chunks(CHUNK * dim)
            .flat_map_iter(of_chunk)
            .collect()
    }
}

/// As values of a vector, which are finite f32.
fn narrow(errors: Vec<f64>) -> Vec<f32> {
    let errors = errors.into_iter();
    errors
        .map(|error| error.min(f64::from(f32::MAX)) as f32)
        .collect()
}

fn mean(values: &[f32]) -> f64 {
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    sum / values.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_distr::{Distribution, StandardNormal};
    use serde_json::Value;

    use super::*;
    use crate::permutation::generator;

    const DIM: usize = 8;

    /// Two factors and noise.
    fn rows(count: usize, noise: f32, random: &mut ChaCha8Rng) -> Vec<f32> {
        let mut normal = || -> f32 { StandardNormal.sample(random) };
        (0..count)
            .flat_map(|_| {
                let factors = [normal(), normal()];
                (0..DIM)
                    .map(|at| factors[at % 2] * (1 + at) as f32 + noise * normal())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn vectors(values: &[f32]) -> Vectors<'_> {
        Vectors::new("rows", values, DIM).unwrap()
    }

    fn p_value(baseline: &[f32], window: &[f32], options: &TestOptions) -> f64 {
        let outcome = Reconstruction::fit(vectors(baseline), 1).unwrap();
        let outcome = outcome.test(vectors(window), options).unwrap();
        outcome.result().unwrap().p_value
    }

    #[test]
    fn errors_are_those_of_scikit_learn() {
        let text = include_str!("../../tests/references/reconstruction.json");
        let cases: Vec<Value> = serde_json::from_str(text).unwrap();
        for case in cases {
            let numbers = |name: &str| -> Vec<f64> {
                let values = case[name].as_array().unwrap().iter();
                values.map(|value| value.as_f64().unwrap()).collect()
            };
            let narrow = |name: &str| numbers(name).iter().map(|x| *x as f32).collect::<Vec<_>>();
            let baseline = narrow("baseline");
            let dim = case["dim"].as_u64().unwrap() as usize;
            let baseline = Vectors::new("rows", &baseline, dim).unwrap();
            let components = PrincipalComponents::fit(baseline).unwrap();
            assert_eq!(
                components.kept.ncols() as u64,
                case["components"].as_u64().unwrap()
            );
            let found = components.errors(&narrow("window"));
            let expected = numbers("errors");
            assert_eq!(found.len(), expected.len());
            for (found, expected) in found.iter().zip(expected) {
                assert!(
                    (found - expected).abs() < 1e-10,
                    "{found} is not {expected}"
                );
            }
        }
    }

    #[test]
    fn clean_windows_alarm_as_often_as_the_p_value_says() {
        // A small baseline of more dimensions than its variance fills is where components fit their own rows best.
        for (count, windows) in [(20, 2_000), (50, 2_000), (200, 2_000)] {
            let alarms = (0..windows).into_par_iter().filter(|seed| {
                let mut random = generator(1, *seed);
                let baseline = rows(100, 1.0, &mut random);
                let window = rows(count, 1.0, &mut random);
                let options = TestOptions {
                    permutations: 199,
                    seed: *seed,
                    ..TestOptions::default()
                };
                p_value(&baseline, &window, &options) <= 0.05
            });
            let share = alarms.count() as f64 / windows as f64;
            println!("{count} rows: {share}");
            assert!((0.03..=0.07).contains(&share), "{count} rows: {share}");
        }
    }

    #[test]
    fn worse_and_better_fits_are_seen() {
        let mut random = generator(2, 0);
        let fitted = Reconstruction::fit(vectors(&rows(2_000, 1.0, &mut random)), 1).unwrap();
        for (noise, sign) in [(1.4, 1.0), (0.7, -1.0)] {
            let window = rows(200, noise, &mut random);
            let outcome = fitted
                .test(vectors(&window), &TestOptions::default())
                .unwrap();
            let result = outcome.result().unwrap();
            assert_eq!(result.p_value, 0.001);
            assert!(result.effect * sign > result.minimum_detectable_effect);
            assert!((result.value - result.expected - result.effect).abs() < 1e-12);
        }
    }

    #[test]
    fn odd_rows_have_an_answer() {
        let mut random = generator(3, 0);
        let mut constant = rows(40, 1.0, &mut random);
        constant
            .iter_mut()
            .step_by(DIM)
            .for_each(|value| *value = 2.0);
        let samples = [
            vec![],
            rows(1, 1.0, &mut random),
            rows(2, 1.0, &mut random),
            rows(5, 1.0, &mut random),
            constant,
            vec![0.0; 60 * DIM],
            [f32::MAX, -f32::MAX].repeat(30 * DIM),
            [1e-40, 0.0].repeat(30 * DIM),
        ];
        for baseline in &samples {
            let fitted = Reconstruction::fit(vectors(baseline), 1).unwrap();
            for (window, block) in samples.iter().flat_map(|sample| [(sample, 1), (sample, 2)]) {
                let options = TestOptions {
                    block,
                    permutations: 19,
                    ..TestOptions::default()
                };
                let outcome = fitted.test(vectors(window), &options).unwrap();
                if let Some(result) = outcome.result() {
                    let TestResult {
                        value,
                        expected,
                        effect,
                        p_value,
                        minimum_detectable_effect,
                    } = *result;
                    assert!(
                        [value, expected, effect, minimum_detectable_effect]
                            .iter()
                            .all(|x| x.is_finite())
                    );
                    assert!(p_value > 0.0 && p_value <= 1.0);
                }
            }
            let other = Vectors::new("rows", &[0.0; 6], 3).unwrap();
            assert!(fitted.test(other, &TestOptions::default()).is_err());
        }
        // The variance of a column of 0.3 is a rounding error, and no scale.
        let mut baseline = rows(100, 1.0, &mut random);
        baseline
            .iter_mut()
            .step_by(DIM)
            .for_each(|value| *value = 0.3);
        let fitted = Reconstruction::fit(vectors(&baseline), 1).unwrap();
        let outcome = fitted.test(
            vectors(&rows(30, 1.0, &mut random)),
            &TestOptions::default(),
        );
        assert!(outcome.unwrap().result().unwrap().value < 10.0);
        assert_eq!(
            p_value(&samples[5], &samples[5], &TestOptions::default()),
            1.0
        );
    }
}
