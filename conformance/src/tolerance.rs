//! Named precision classes, and the measures of a difference.

use driftline_core::Precision;
use serde::Serialize;

/// How far values may be from those of the oracle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// Name of the class.
    pub name: &'static str,
    /// Largest `|found - expected| - relative * |expected|` of one value.
    pub absolute: f64,
    /// See [`Self::absolute`].
    pub relative: f64,
    /// Largest `|found - expected| / |expected|` of one row, in the Euclidean norm.
    pub relative_l2: f64,
    /// Smallest cosine between the two rows.
    pub cosine: f64,
}

/// Single precision throughout. Seen on the synthetic models and images (`cargo test -p driftline-conformance` prints
/// it): see the table in `docs/src/reference/conformance.md`. PyTorch in float32 differs from itself in float64 by 3.2e-6
/// on real images.
pub const FP32: Tolerance = Tolerance {
    name: "fp32",
    absolute: 1e-5,
    relative: 1e-5,
    relative_l2: 5e-6,
    cosine: 0.999_999_999_9,
};

/// Same bits.
pub const EXACT: Tolerance = Tolerance {
    name: "exact",
    absolute: 0.0,
    relative: 0.0,
    relative_l2: 0.0,
    cosine: 1.0,
};

/// The class that a backend declares.
pub fn of(precision: Precision) -> Option<Tolerance> {
    match precision {
        Precision::Fp32 => Some(FP32),
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
                        "row {row}, value {column}: {f} is not {e} within {} ({:e} + {:e} |x|)",
                        self.name, self.absolute, self.relative
                    ));
                }
            }
            let difference = measure(found, expected);
            if difference.relative_l2 > self.relative_l2 {
                return Err(format!(
                    "row {row}: relative L2 difference {:e} is above {:e} ({})",
                    difference.relative_l2, self.relative_l2, self.name
                ));
            }
            if difference.min_cosine < self.cosine {
                return Err(format!(
                    "row {row}: cosine {} is below {} ({})",
                    difference.min_cosine, self.cosine, self.name
                ));
            }
            worst = worst.worst(difference);
        }
        Ok(worst)
    }
}

fn measure(found: &[f32], expected: &[f64]) -> Difference {
    let (mut max_abs, mut squares, mut dot, mut norm_f, mut norm_e) = (0.0_f64, 0.0, 0.0, 0.0, 0.0);
    for (f, e) in found.iter().zip(expected) {
        let f = f64::from(*f);
        max_abs = max_abs.max((f - e).abs());
        squares += (f - e).powi(2);
        dot += f * e;
        norm_f += f * f;
        norm_e += e * e;
    }
    if norm_e == 0.0 || norm_f == 0.0 {
        return Difference {
            max_abs,
            relative_l2: squares.sqrt(),
            min_cosine: if norm_e == norm_f { 1.0 } else { 0.0 },
            norm_ratio: if norm_e == norm_f { 1.0 } else { 0.0 },
        };
    }
    Difference {
        max_abs,
        relative_l2: (squares / norm_e).sqrt(),
        min_cosine: (dot / (norm_e * norm_f).sqrt()).min(1.0),
        norm_ratio: (norm_f / norm_e).sqrt(),
    }
}
