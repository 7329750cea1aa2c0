//! PyTorch's answers for real images and real weights, where they are at hand.

use std::path::PathBuf;

use safetensors::SafeTensors;

use crate::oracle::OracleOutput;
use crate::synthetic::Image;

/// The variable with the folder of [`FILES`].
pub const VARIABLE: &str = "DRIFTLINE_TEST_DATA";

/// The answers, and the weights they were made with.
pub const FILES: [&str; 2] = ["golden.safetensors", "resnet18_cifar10.pth"];

/// Real images and what PyTorch gives for them in float64.
pub struct Golden {
    /// ResNet-18 trained on CIFAR-10.
    pub weights: PathBuf,
    /// u8 `[H, W, 3]` each.
    pub images: Vec<Image>,
    /// Row `i` belongs to image `i`.
    pub answers: Vec<OracleOutput>,
}

/// The folder that [`VARIABLE`] names, if both files are in it.
pub fn folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os(VARIABLE)?);
    let complete = FILES.iter().all(|file| folder.join(file).is_file());
    complete.then_some(folder)
}

impl Golden {
    /// Reads `images` (u8 `[N, H, W, 3]`), `embeddings_f64` (`[N, dim]`) and `probabilities_f64` (`[N, classes]`).
    ///
    /// # Errors
    /// A sentence about what is wrong with the file.
    pub fn read(folder: &std::path::Path) -> Result<Self, String> {
        let path = folder.join(FILES[0]);
        let wrong = |message: String| format!("{}: {message}", path.display());
        let bytes = std::fs::read(&path).map_err(|error| wrong(error.to_string()))?;
        let file = SafeTensors::deserialize(&bytes).map_err(|error| wrong(error.to_string()))?;
        // The rows of a tensor, as bytes.
        let rows = |name: &str| -> Result<Vec<Vec<u8>>, String> {
            let view = file
                .tensor(name)
                .map_err(|error| wrong(error.to_string()))?;
            let n = view.shape().first().copied().unwrap_or_default().max(1);
            let length = (view.data().len() / n).max(1);
            Ok(view.data().chunks(length).map(<[u8]>::to_vec).collect())
        };
        let doubles = |row: Vec<u8>| -> Vec<f64> {
            let values = row.as_chunks().0.iter();
            values.map(|bytes| f64::from_le_bytes(*bytes)).collect()
        };
        let images = rows("images")?;
        let embeddings = rows("embeddings_f64")?;
        let scores = rows("probabilities_f64")?;
        if embeddings.len() != images.len() || scores.len() != images.len() {
            return Err(wrong("the tensors have other numbers of rows".to_owned()));
        }
        let answers = embeddings.into_iter().zip(scores);
        Ok(Self {
            weights: folder.join(FILES[1]),
            images,
            answers: answers
                .map(|(embedding, scores)| OracleOutput {
                    embedding: doubles(embedding),
                    scores: doubles(scores),
                })
                .collect(),
        })
    }
}
