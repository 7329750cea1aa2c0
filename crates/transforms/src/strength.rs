//! A parameter that every image draws for itself.

use std::hash::Hasher;

use driftline_core::{Error, ErrorKind, Result, TransformContext, TransformSpec};
use fnv::FnvHasher;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// A range of values, `low == high` for a fixed one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Strength {
    low: f64,
    high: f64,
}

impl Strength {
    /// Values from `low` to `high`; both finite, `low <= high`.
    pub fn new(low: f64, high: f64) -> Result<Self> {
        if !(low.is_finite() && high.is_finite() && low <= high) {
            return Err(refuse(format!(
                "the range {low}..{high} is not from a smaller to a larger finite number"
            )));
        }
        Ok(Self { low, high })
    }

    /// Reads parameter `name` of `spec`, the only one it may have.
    pub fn from_spec(spec: &TransformSpec, name: &str, default: (f64, f64)) -> Result<Self> {
        let parameters = spec.resolve(&[name])?;
        let number = |value: &Value| {
            value.as_f64().ok_or_else(|| {
                refuse(format!(
                    "`{name}` is {value}, not a number or a range `a..b`"
                ))
                .with("transform", &spec.name)
            })
        };
        let (low, high) = match parameters.get(name) {
            None => default,
            Some(Value::Array(ends)) if ends.len() == 2 => (number(&ends[0])?, number(&ends[1])?),
            Some(value) => {
                let value = number(value)?;
                (value, value)
            }
        };
        Self::new(low, high)
            .map_err(|error| error.with("transform", &spec.name).with("parameter", name))
    }

    /// Smallest value.
    pub fn low(self) -> f64 {
        self.low
    }

    /// The value of the image at `row`: a function of (seed, `transform`, row).
    pub(crate) fn draw(self, context: &TransformContext<'_>, transform: &str, row: u64) -> f64 {
        if self.low == self.high {
            return self.low;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(context.seed ^ salt(transform));
        rng.set_stream(row);
        rng.random_range(self.low..=self.high)
    }
}

impl std::fmt::Display for Strength {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.low == self.high {
            write!(f, "{}", self.low)
        } else {
            write!(f, "{}..{}", self.low, self.high)
        }
    }
}

/// FNV-1a of the name, so that two transforms in a chain draw independently.
fn salt(name: &str) -> u64 {
    let mut hash = FnvHasher::default();
    hash.write(name.as_bytes());
    hash.finish()
}

pub(crate) fn refuse(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, "configure transform", message)
}
