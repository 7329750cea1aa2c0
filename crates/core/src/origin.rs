//! What made rows: only rows of one origin lie in one space.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Precision, Result};

/// The model, its preprocessing and the precision that rows were embedded with. Files of rows carry it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowOrigin {
    /// Hex sha256 of the weights file.
    pub model_sha256: String,
    /// Size, mean, deviation and resize rule of the model's input, in words.
    pub preprocessing: String,
    /// Precision class of the backend; engines of one class give rows that can be compared.
    pub precision: Precision,
}

impl RowOrigin {
    /// That rows of `other` may be compared with rows of this origin.
    ///
    /// # Errors
    /// `InvalidData` naming what differs.
    pub fn accept(&self, other: &Self) -> Result<()> {
        let short = |sha: &String| sha.chars().take(12).collect::<String>();
        let [mine, theirs] = [self, other].map(|origin| {
            [
                ("weights", short(&origin.model_sha256)),
                ("preprocessing", origin.preprocessing.clone()),
                ("precision", origin.precision.to_string()),
            ]
        });
        for ((what, mine), (_, theirs)) in mine.into_iter().zip(theirs) {
            if mine != theirs {
                let message = format!(
                    "the baseline was embedded with {what} {mine}, the window with {theirs}"
                );
                return Err(Error::new(ErrorKind::InvalidData, "compare rows", message)
                    .remedy("embed both with the same model and precision"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_model_preprocessing_or_precision_is_named() {
        let mine = RowOrigin {
            model_sha256: "a".repeat(64),
            preprocessing: "32x32".to_owned(),
            precision: Precision::Fp32,
        };
        assert!(mine.accept(&mine).is_ok());
        for (other, named) in [
            (
                RowOrigin {
                    model_sha256: "b".repeat(64),
                    ..mine.clone()
                },
                "weights aaaaaaaaaaaa",
            ),
            (
                RowOrigin {
                    preprocessing: "64x64".to_owned(),
                    ..mine.clone()
                },
                "with 64x64",
            ),
            (
                RowOrigin {
                    precision: Precision::Bf16,
                    ..mine.clone()
                },
                "with bf16",
            ),
        ] {
            let error = mine.accept(&other).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
