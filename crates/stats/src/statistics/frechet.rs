//! The Fréchet distance of two normal distributions.

use std::collections::{BTreeMap, BTreeSet};

use driftline_core::{Error, ErrorKind, Result};
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, Mat, MatRef, Par, Side};
use rayon::prelude::*;

use crate::permutation::{generator, independent_rows};
use crate::{DriftTest, Moments, NullDistribution, TestOptions, TestOutcome, TestResult, Vectors};

/// Principal components that a distance is over at most.
const COMPONENTS: usize = 128;

/// Permutations that are enough for a level of 5 %: each takes eigenvalues.
const PERMUTATIONS: usize = 199;

/// Principal components that DriftLens takes of all rows.
pub const DRIFTLENS_COMPONENTS: usize = 150;

/// Principal components that DriftLens takes of the rows of one label.
pub const DRIFTLENS_COMPONENTS_PER_LABEL: usize = 75;

/// The squared Fréchet distance `|Δμ|² + tr(S₁ + S₂ - 2 (S₁^½ S₂ S₁^½)^½)` of baseline and window as normal distributions,
/// with divisor `n - 1` in the covariances: what is called FID of images.
///
/// Everything is in the space of the first 128 principal components of the pooled rows, which no permutation
/// changes, so that the test is exact. Rows of up to 128 values are only turned by that, and the value is that of
/// [`frechet`].
///
/// | | |
/// | --- | --- |
/// | value | squared unit of the rows, 0 upwards; few rows make it large, so compare `effect` |
/// | cost | in each of at most 199 permutations the covariance of the smaller sample, `n d²`, and eigenvalues, `d³` |
/// | not for | a change of shape that keeps mean and covariance; windows much smaller than `d` see little |
///
/// Dowson and Landau 1982; Heusel et al. 2017. [`driftlens_compat`](Self::driftlens_compat): Greco et al. 2025, arXiv
/// 2406.17813.
#[derive(Debug, Clone)]
pub struct Frechet {
    rows: Vec<f32>,
    dim: usize,
    components: usize,
    /// Set if the value is that of DriftLens.
    driftlens: Option<DriftLens>,
}

/// The baseline as DriftLens keeps it.
#[derive(Debug, Clone)]
struct DriftLens {
    moments: Moments,
    /// The baseline's principal components, one a column.
    components: Mat<f64>,
}

impl Frechet {
    /// Keeps the baseline's rows.
    pub fn fit(baseline: Vectors<'_>) -> Self {
        Self {
            rows: baseline.values().to_vec(),
            dim: baseline.dim(),
            components: COMPONENTS.min(baseline.dim()),
            driftlens: None,
        }
    }

    /// With the value of DriftLens: `|Δμ|` is not squared, and the distance is over `components` principal components of the
    /// baseline, [`DRIFTLENS_COMPONENTS`] or [`DRIFTLENS_COMPONENTS_PER_LABEL`] there; all, if there are fewer.
    ///
    /// The window is not in those components, so permuted values would be below its own: p-value, noise floor and effect are of
    /// the same distance over the components of all rows of both.
    ///
    /// # Errors
    /// `InvalidData` if the baseline has no principal components.
    pub fn driftlens_compat(baseline: Vectors<'_>, components: usize) -> Result<Self> {
        let moments = Moments::of(baseline);
        let components = components.clamp(1, baseline.dim());
        Ok(Self {
            components,
            driftlens: Some(DriftLens {
                components: principal(&moments.covariance(), components)?,
                moments,
            }),
            ..Self::fit(baseline)
        })
    }

    fn distance(&self, one: &Gaussian, other: &Gaussian) -> Result<f64> {
        let square: f64 = (one.mean.iter().zip(&other.mean))
            .map(|(a, b)| (a - b).powi(2))
            .sum();
        let means = if self.driftlens.is_some() {
            square.sqrt()
        } else {
            square
        };
        Ok(means + covariances(&one.covariance, &other.covariance)?)
    }
}

impl DriftTest for Frechet {
    fn test(&self, window: Vectors<'_>, options: &TestOptions) -> Result<TestOutcome> {
        options.check()?;
        let baseline = Vectors::checked(&self.rows, self.dim);
        baseline.same_space(&window)?;
        let values = [baseline, window].map(|sample| independent_rows(sample, options));
        let [baseline, window] = [
            Vectors::new("the baseline", &values[0], self.dim)?,
            Vectors::new("the window", &values[1], self.dim)?,
        ];
        let fewer = window.rows().min(baseline.rows());
        if fewer < 2 {
            let (rows, needed) = (fewer, 2);
            return Ok(TestOutcome::NotEnoughRows { rows, needed });
        }
        let moments = Moments::of(window);
        let pool = Pool::new(baseline, window, &moments, self.components)?;
        let distance = |chosen: &[usize]| {
            let (one, other) = pool.split(chosen);
            self.distance(&one, &other)
        };
        let count = options.permutations.min(PERMUTATIONS) as u64;
        let all = pool.rows.ncols();
        let permuted: Vec<f64> = (0..count)
            .into_par_iter()
            .map(|permutation| {
                let mut random = generator(options.seed, permutation);
                distance(&rand::seq::index::sample(&mut random, all, fewer).into_vec())
            })
            .collect::<Result<_>>()?;
        let own: Vec<usize> = if window.rows() == fewer {
            (baseline.rows()..all).collect()
        } else {
            (0..baseline.rows()).collect()
        };
        let null = NullDistribution::new(distance(&own)?, permuted);
        let mut result = TestResult {
            minimum_detectable_effect: null.minimum_detectable_square(options.alpha),
            ..null.result(options.alpha)
        };
        if let Some(DriftLens {
            components,
            moments: baseline,
        }) = &self.driftlens
        {
            let [one, other] =
                [baseline, &moments].map(|sample| Gaussian::of(sample).within(components));
            result.value = self.distance(&one, &other)?;
        }
        Ok(TestOutcome::Tested(result))
    }
}

/// The squared Fréchet distance of two sets of rows from their moments alone, over all dimensions; see [`Frechet`].
///
/// # Errors
/// `InvalidData` for rows of different lengths, or fewer than two of either.
pub fn frechet(one: &Moments, other: &Moments) -> Result<f64> {
    let refuse = |message: String| Error::new(ErrorKind::InvalidData, "compare rows", message);
    if one.dim() != other.dim() {
        let message = format!("rows of {} and of {} values", one.dim(), other.dim());
        return Err(refuse(message));
    }
    let fewer = one.rows().min(other.rows());
    if fewer < 2 {
        return Err(refuse(format!("{fewer} rows have no covariance")));
    }
    let [one, other] = [one, other].map(Gaussian::of);
    let means = one.mean.iter().zip(&other.mean);
    let means: f64 = means.map(|(a, b)| (a - b).powi(2)).sum();
    Ok(means + covariances(&one.covariance, &other.covariance)?)
}

/// A normal distribution.
struct Gaussian {
    mean: Vec<f64>,
    covariance: Mat<f64>,
}

impl Gaussian {
    fn of(moments: &Moments) -> Self {
        let n = moments.rows() as f64;
        let covariance = moments.covariance();
        Self {
            mean: moments.mean(),
            covariance: covariance * faer::Scale(n / (n - 1.0)),
        }
    }

    /// The distribution of the coordinates along `components`.
    fn within(&self, components: &Mat<f64>) -> Self {
        let mean = components.transpose() * faer::ColRef::from_slice(&self.mean);
        Self {
            mean: mean.iter().copied().collect(),
            covariance: components.transpose() * &self.covariance * components,
        }
    }
}

/// The pooled rows in common principal components, and the sums from which every permutation comes.
struct Pool {
    /// One row a column.
    rows: Mat<f64>,
    sum: Vec<f64>,
    products: Mat<f64>,
}

impl Pool {
    fn new(
        baseline: Vectors<'_>,
        window: Vectors<'_>,
        moments: &Moments,
        components: usize,
    ) -> Result<Self> {
        let mut all = Moments::of(baseline);
        all.merge(moments)?;
        let (mean, axes) = (all.mean(), principal(&all.covariance(), components)?);
        let centred: Vec<f64> = (baseline.iter().chain(window.iter()))
            .flat_map(|row| row.iter().zip(&mean).map(|(x, mean)| f64::from(*x) - mean))
            .collect();
        let count = baseline.rows() + window.rows();
        let rows = axes.transpose() * MatRef::from_column_major_slice(&centred, mean.len(), count);
        Ok(Self {
            sum: sum(rows.as_ref()),
            products: products(rows.as_ref()),
            rows,
        })
    }

    /// The chosen rows, and the others.
    fn split(&self, chosen: &[usize]) -> (Gaussian, Gaussian) {
        let rows = Mat::from_fn(self.rows.nrows(), chosen.len(), |component, at| {
            self.rows[(component, chosen[at])]
        });
        let (mine, products) = (sum(rows.as_ref()), products(rows.as_ref()));
        let others: Vec<f64> = (self.sum.iter().zip(&mine))
            .map(|(all, mine)| all - mine)
            .collect();
        let left = self.rows.ncols() - chosen.len();
        let other = gaussian(left, others, &self.products - &products);
        (gaussian(chosen.len(), mine, products), other)
    }
}

fn gaussian(rows: usize, sum: Vec<f64>, products: Mat<f64>) -> Gaussian {
    let n = rows as f64;
    let mean: Vec<f64> = sum.iter().map(|sum| sum / n).collect();
    let covariance = Mat::from_fn(mean.len(), mean.len(), |row, column| {
        (products[(row, column)] - n * mean[row] * mean[column]) / (n - 1.0)
    });
    Gaussian { mean, covariance }
}

fn sum(rows: MatRef<'_, f64>) -> Vec<f64> {
    let mut sum = vec![0.0; rows.nrows()];
    for row in rows.col_iter() {
        for (sum, value) in sum.iter_mut().zip(row.iter()) {
            *sum += value;
        }
    }
    sum
}

/// The lower triangle of `X Xᵀ`, and zeros.
fn products(rows: MatRef<'_, f64>) -> Mat<f64> {
    let mut products = Mat::zeros(rows.nrows(), rows.nrows());
    triangular::matmul(
        products.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Replace,
        rows,
        BlockStructure::Rectangular,
        rows.transpose(),
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
    for column in 1..rows.nrows() {
        for row in 0..column {
            products[(row, column)] = products[(column, row)];
        }
    }
    products
}

/// The eigenvectors of the `count` largest eigenvalues, one a column.
fn principal(covariance: &Mat<f64>, count: usize) -> Result<Mat<f64>> {
    let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(failed)?;
    // From the smallest to the largest.
    let vectors = eigen.U();
    Ok(vectors.subcols(vectors.ncols() - count, count).to_owned())
}

/// `tr(S₁ + S₂ - 2 (S₁^½ S₂ S₁^½)^½)`, not below 0.
fn covariances(one: &Mat<f64>, other: &Mat<f64>) -> Result<f64> {
    // For any F with F Fᵀ = S₁ the eigenvalues of Fᵀ S₂ F are those of S₁ S₂, as are those of S₁^½ S₂ S₁^½.
    let factor = factor(one)?;
    let product = factor.transpose() * other * &factor;
    let roots = product
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(failed)?;
    let roots: f64 = roots.iter().map(|root| root.max(0.0).sqrt()).sum();
    let trace = |matrix: &Mat<f64>| -> f64 { matrix.diagonal().column_vector().iter().sum() };
    Ok((trace(one) + trace(other) - 2.0 * roots).max(0.0))
}

/// A matrix `F` with `F Fᵀ = S`.
fn factor(covariance: &Mat<f64>) -> Result<Mat<f64>> {
    if let Ok(factor) = covariance.llt(Side::Lower) {
        return Ok(factor.L().to_owned());
    }
    // Singular.
    let eigen = covariance.self_adjoint_eigen(Side::Lower).map_err(failed)?;
    let (values, vectors) = (eigen.S().column_vector(), eigen.U());
    Ok(Mat::from_fn(
        vectors.nrows(),
        vectors.ncols(),
        |row, column| vectors[(row, column)] * values[column].max(0.0).sqrt(),
    ))
}

fn failed(cause: faer::linalg::solvers::EvdError) -> Error {
    let message = "a covariance has no eigenvalues";
    Error::new(ErrorKind::InvalidData, "compare rows", message).because(format!("{cause:?}"))
}

/// [`Frechet`] for the rows of each class, as it was predicted.
#[derive(Debug, Clone)]
pub struct FrechetByClass {
    dim: usize,
    classes: BTreeMap<usize, Frechet>,
}

impl FrechetByClass {
    /// Keeps the baseline's rows of each class; `classes` has one for each row.
    ///
    /// # Errors
    /// `InvalidData` unless there is one class for each row.
    pub fn fit(baseline: Vectors<'_>, classes: &[usize]) -> Result<Self> {
        Self::fit_each(baseline, classes, |rows| Ok(Frechet::fit(rows)))
    }

    /// As [`Frechet::driftlens_compat`].
    ///
    /// # Errors
    /// As [`fit`](Self::fit) and [`Frechet::driftlens_compat`].
    pub fn driftlens_compat(
        baseline: Vectors<'_>,
        classes: &[usize],
        components: usize,
    ) -> Result<Self> {
        Self::fit_each(baseline, classes, |rows| {
            Frechet::driftlens_compat(rows, components)
        })
    }

    fn fit_each(
        baseline: Vectors<'_>,
        classes: &[usize],
        fit: impl Fn(Vectors<'_>) -> Result<Frechet>,
    ) -> Result<Self> {
        let dim = baseline.dim();
        let fitted = by_class(baseline, classes)?
            .into_iter()
            .map(|(class, rows)| Ok((class, fit(Vectors::new("the baseline", &rows, dim)?)?)))
            .collect::<Result<_>>()?;
        let classes = fitted;
        Ok(Self { dim, classes })
    }

    /// The outcome for each class that baseline or window has; one with fewer than two rows of either has
    /// [`TestOutcome::NotEnoughRows`].
    ///
    /// # Errors
    /// `InvalidData` for rows of another space, or unless there is one class for each row.
    pub fn test(
        &self,
        window: Vectors<'_>,
        classes: &[usize],
        options: &TestOptions,
    ) -> Result<BTreeMap<usize, TestOutcome>> {
        options.check()?;
        Vectors::checked(&[], self.dim).same_space(&window)?;
        let rows = by_class(window, classes)?;
        let both: BTreeSet<usize> = self.classes.keys().chain(rows.keys()).copied().collect();
        let test = |class| {
            let rows = rows.get(&class).map_or(&[][..], Vec::as_slice);
            let window = Vectors::new("the window", rows, self.dim)?;
            match self.classes.get(&class) {
                Some(frechet) => frechet.test(window, options),
                None => Ok(TestOutcome::NotEnoughRows { rows: 0, needed: 2 }),
            }
        };
        both.into_iter()
            .map(|class| Ok((class, test(class)?)))
            .collect()
    }
}

/// The rows of each class.
fn by_class(rows: Vectors<'_>, classes: &[usize]) -> Result<BTreeMap<usize, Vec<f32>>> {
    if rows.rows() != classes.len() {
        let message = format!("{} classes for {} rows", classes.len(), rows.rows());
        return Err(Error::new(ErrorKind::InvalidData, "compare rows", message)
            .remedy("give the predicted class of each row"));
    }
    let mut by_class = BTreeMap::<usize, Vec<f32>>::new();
    for (row, class) in rows.iter().zip(classes) {
        by_class.entry(*class).or_default().extend_from_slice(row);
    }
    Ok(by_class)
}
