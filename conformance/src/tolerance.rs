//! Named precision classes, and the measures of a difference.

use driftline_core::Precision;
use serde::Serialize;

/// How far values may be from those of the oracle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Largest `|found - expected| - relative * |expected|` of one value.
    pub absolute: f64,
    /// See [`Self::absolute`].
    pub relative: f64,
    /// Largest `|found - expected| / |expected|` of one row, in the Euclidean norm.
    pub relative_l2: f64,
    /// Largest distance from 1 of the cosine between the two rows.
    pub cosine: f64,
    /// Largest distance from 1 of the ratio of the two norms.
    pub norm_ratio: f64,
}

/// A named precision class: a small factor above what the example `distribution` prints.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Class {
    /// Its name.
    pub name: &'static str,
    /// For embeddings.
    pub embeddings: Tolerance,
    /// For scores; softmax turns an absolute error of a logit into a relative one of a score.
    pub scores: Tolerance,
    /// Largest difference of a drift statistic.
    pub statistic: f64,
}

/// Single precision throughout.
pub const FP32: Class = Class {
    name: "fp32",
    embeddings: Tolerance {
        absolute: 1e-5,
        relative: 1e-5,
        relative_l2: 3e-6,
        cosine: 2e-12,
        norm_ratio: 3e-6,
    },
    scores: Tolerance {
        absolute: 1e-5,
        relative: 1e-5,
        relative_l2: 5e-6,
        cosine: 1e-11,
        norm_ratio: 5e-6,
    },
    statistic: 5e-4,
};

/// Factors of products rounded to the 10 bits of TF32, sums in single precision.
pub const TF32: Class = Class {
    name: "tf32",
    embeddings: Tolerance {
        absolute: 5e-2,
        relative: 5e-2,
        relative_l2: 6e-3,
        cosine: 6e-6,
        norm_ratio: 5e-3,
    },
    scores: Tolerance {
        absolute: 1e-2,
        relative: 1e-2,
        relative_l2: 2e-2,
        cosine: 6e-5,
        norm_ratio: 1e-2,
    },
    statistic: 6e-2,
};

/// Factors of products rounded to the 7 bits of bfloat16, sums in single precision.
pub const BF16: Class = Class {
    name: "bf16",
    embeddings: Tolerance {
        absolute: 4e-1,
        relative: 4e-1,
        relative_l2: 5e-2,
        cosine: 4e-4,
        norm_ratio: 4e-2,
    },
    scores: Tolerance {
        absolute: 8e-2,
        relative: 8e-2,
        relative_l2: 1.6e-1,
        cosine: 4e-3,
        norm_ratio: 8e-2,
    },
    statistic: 1e-1,
};

/// Same bits.
pub const EXACT: Tolerance = Tolerance {
    absolute: 0.0,
    relative: 0.0,
    relative_l2: 0.0,
    cosine: 0.0,
    norm_ratio: 0.0,
};

/// The class that a backend declares.
pub fn of(precision: Precision) -> Option<Class> {
    match precision {
        Precision::Fp32 => Some(FP32),
        Precision::Tf32 => Some(TF32),
        Precision::Bf16 => Some(BF16),
        _ => None,
    }
}

/// How far rows are from what was expected: the worst of all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Largest difference of one value.
    pub max_abs: f64,
    /// Largest relative difference of one row, in the Euclidean norm.
    pub relative_l2: f64,
    /// Smallest cosine between two rows.
    pub min_cosine: f64,
    /// Ratio of the norms of two rows, the one farthest from 1.
    #[serde(skip)]
    pub norm_ratio: f64,
}

impl Default for Difference {
    fn default() -> Self {
        Self {
            max_abs: 0.0,
            relative_l2: 0.0,
            min_cosine: 1.0,
            norm_ratio: 1.0,
        }
    }
}

impl Difference {
    /// The difference of one row from what was expected, of the same length.
    pub fn of(found: &[f32], expected: &[f64]) -> Self {
        let (mut max_abs, mut squares, mut dot) = (0.0_f64, 0.0, 0.0);
        let (mut norm_f, mut norm_e) = (0.0, 0.0);
        for (f, e) in found.iter().zip(expected) {
            let f = f64::from(*f);
            max_abs = max_abs.max((f - e).abs());
            squares += (f - e).powi(2);
            dot += f * e;
            norm_f += f * f;
            norm_e += e * e;
        }
        if squares == 0.0 {
            return Self::default();
        }
        if norm_e == 0.0 || norm_f == 0.0 {
            return Self {
                max_abs,
                relative_l2: squares.sqrt(),
                min_cosine: 0.0,
                norm_ratio: 0.0,
            };
        }
        Self {
            max_abs,
            relative_l2: (squares / norm_e).sqrt(),
            min_cosine: (dot / (norm_e * norm_f).sqrt()).min(1.0),
            norm_ratio: (norm_f / norm_e).sqrt(),
        }
    }

    /// The worse of two in each measure.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        let farther = (other.norm_ratio - 1.0).abs() > (self.norm_ratio - 1.0).abs();
        Self {
            max_abs: self.max_abs.max(other.max_abs),
            relative_l2: self.relative_l2.max(other.relative_l2),
            min_cosine: self.min_cosine.min(other.min_cosine),
            norm_ratio: if farther {
                other.norm_ratio
            } else {
                self.norm_ratio
            },
        }
    }
}

impl Tolerance {
    /// Compares row `i` of `found`, f32 `[N, length]`, with `expected(i)`.
    ///
    /// # Errors
    /// A sentence that names the first row outside the class, and what it is outside of.
    pub fn compare<'a>(
        &self,
        found: &[f32],
        length: usize,
        expected: impl Fn(usize) -> &'a [f64],
    ) -> Result<Difference, String> {
        let mut worst = Difference::default();
        for (row, found) in found.chunks_exact(length).enumerate() {
            let expected = expected(row);
            if expected.len() != length {
                return Err(format!(
                    "row {row} has {length} values, expected {}",
                    expected.len()
                ));
            }
            for (column, (f, e)) in found.iter().zip(expected).enumerate() {
                let difference = (f64::from(*f) - e).abs();
                if difference.is_nan() || difference > self.absolute + self.relative * e.abs() {
                    return Err(format!(
                        "row {row}, value {column}: {f} is not {e} within {:e} + {:e} |x|",
                        self.absolute, self.relative
                    ));
                }
            }
            let difference = Difference::of(found, expected);
            if difference.relative_l2 > self.relative_l2 {
                return Err(format!(
                    "row {row}: relative L2 difference {:e} is above {:e}",
                    difference.relative_l2, self.relative_l2
                ));
            }
            if 1.0 - difference.min_cosine > self.cosine {
                return Err(format!(
                    "row {row}: cosine {} is farther from 1 than {:e}",
                    difference.min_cosine, self.cosine
                ));
            }
            if (difference.norm_ratio - 1.0).abs() > self.norm_ratio {
                return Err(format!(
                    "row {row}: ratio of norms {} is farther from 1 than {:e}",
                    difference.norm_ratio, self.norm_ratio
                ));
            }
            worst = worst.worst(difference);
        }
        Ok(worst)
    }
}
