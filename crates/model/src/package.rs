//! `model.toml`: weights, preprocessing, classes and the embedding layer.
//!
//! ```toml
//! name = "sample-resnet18"
//! architecture = "resnet18"
//! classes = ["bricks", "checks"]   # in the order of the scores
//!
//! [weights]
//! file = "weights.safetensors"     # beside this file; .pth or .safetensors
//! sha256 = "…"                     # optional; checked when given
//!
//! [input]
//! height = 32
//! width = 32
//! mean = [0.5, 0.5, 0.5]           # of pixel / 255
//! std = [0.5, 0.5, 0.5]
//! resize = "stretch"               # or "crop": cover, then cut out the centre
//!
//! [embedding]
//! layer = "fc.0"
//! dim = 128
//! ```

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, ImageShape, Resize, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{ResNet18, Weights};

/// Classes of CIFAR-10 in the order of its labels.
pub const CIFAR10_CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// The layer whose output is the embedding in every ResNet-18 package.
pub const EMBEDDING_LAYER: &str = "fc.0";

/// How u8 pixels become the model's input: `(pixel / 255 - mean) / std`, per channel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preprocessing {
    /// Height and width of the input.
    pub shape: ImageShape,
    /// Mean of each channel, in units of pixel / 255.
    pub mean: [f32; 3],
    /// Standard deviation of each channel, in units of pixel / 255; never 0.
    pub std: [f32; 3],
    /// What happens to an image of another size.
    pub resize: Resize,
}

/// A model: its weights file and everything that gives its output a meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPackage {
    /// Name, as it is shown and published.
    pub name: String,
    /// The weights file.
    pub weights: PathBuf,
    /// Hex sha256 of the weights file as it is on disk.
    pub sha256: String,
    /// Input size and normalisation.
    pub preprocessing: Preprocessing,
    /// Class names in the order of the scores; empty means "as many as the weights have", see [`Self::network`].
    classes: Vec<String>,
    /// Length of an embedding that `model.toml` promises.
    dim: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    architecture: Architecture,
    classes: Vec<String>,
    weights: WeightsSection,
    input: InputSection,
    embedding: EmbeddingSection,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Architecture {
    ResNet18,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsSection {
    file: PathBuf,
    sha256: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InputSection {
    height: usize,
    width: usize,
    mean: [f32; 3],
    std: [f32; 3],
    #[serde(default)]
    resize: Resize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EmbeddingSection {
    layer: String,
    dim: usize,
}

impl ModelPackage {
    /// Opens a `model.toml`, or a weights file.
    ///
    /// A weights file is described by a `model.toml` beside it that names it; without one it is taken as the seed's
    /// model: ResNet-18, 32x32 input, mean and standard deviation 0.5, and the classes of CIFAR-10 if there are ten.
    pub fn open(path: &Path) -> Result<Self> {
        if path.is_dir() {
            return Self::open(&path.join("model.toml"));
        }
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::from_manifest(path),
            Some("pth" | "pt" | "safetensors") => {
                let manifest = path.with_file_name("model.toml");
                if manifest.is_file() {
                    let package = Self::from_manifest(&manifest)?;
                    if package.weights == path {
                        return Ok(package);
                    }
                }
                Self::from_weights(path)
            }
            _ => Err(Error::new(
                ErrorKind::InvalidConfig,
                "open model",
                "this is neither a model.toml nor weights in .pth or .safetensors form",
            )
            .with("file", path.display())
            .remedy("pass a model.toml, or the weights file itself")),
        }
    }

    fn from_manifest(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::io("read model.toml", path, e))?;
        let refuse = |message: String| {
            Error::new(ErrorKind::InvalidConfig, "read model.toml", message)
                .with("file", path.display())
        };
        let manifest: Manifest =
            toml::from_str(&text).map_err(|e| refuse(e.to_string().trim_end().to_owned()))?;
        let Architecture::ResNet18 = manifest.architecture;
        if manifest.embedding.layer != EMBEDDING_LAYER {
            return Err(refuse(format!(
                "the embedding of a resnet18 is the output of `{EMBEDDING_LAYER}`, not of `{}`",
                manifest.embedding.layer
            )));
        }
        let input = manifest.input;
        if input.std.iter().any(|std| !std.is_finite() || *std <= 0.0)
            || input.mean.iter().any(|mean| !mean.is_finite())
        {
            return Err(refuse(
                "input.mean and input.std must be finite, and input.std above 0".to_owned(),
            ));
        }
        if input.height == 0 || input.width == 0 {
            return Err(refuse(
                "input.height and input.width must be at least 1".to_owned(),
            ));
        }
        if manifest.classes.is_empty() {
            return Err(refuse("classes must name at least one class".to_owned()));
        }
        let weights = path.with_file_name(&manifest.weights.file);
        let sha256 = hash_file(&weights)?;
        if let Some(expected) = manifest.weights.sha256
            && !expected.eq_ignore_ascii_case(&sha256)
        {
            return Err(Error::new(
                ErrorKind::InvalidData,
                "open model",
                format!("the weights are not those of model.toml: expected sha256 {expected}, found {sha256}"),
            )
            .with("file", weights.display())
            .remedy("bring the right weights, or correct weights.sha256 in model.toml"));
        }
        Ok(Self {
            name: manifest.name,
            weights,
            sha256,
            preprocessing: Preprocessing {
                shape: ImageShape {
                    height: input.height,
                    width: input.width,
                },
                mean: input.mean,
                std: input.std,
                resize: input.resize,
            },
            classes: manifest.classes,
            dim: Some(manifest.embedding.dim),
        })
    }

    fn from_weights(path: &Path) -> Result<Self> {
        let stem = path.file_stem().map(|stem| stem.to_string_lossy());
        Ok(Self {
            name: stem.as_deref().unwrap_or("model").replace('_', "-"),
            weights: path.to_owned(),
            sha256: hash_file(path)?,
            preprocessing: Preprocessing {
                shape: ImageShape {
                    height: 32,
                    width: 32,
                },
                mean: [0.5; 3],
                std: [0.5; 3],
                resize: Resize::Stretch,
            },
            classes: Vec::new(),
            dim: None,
        })
    }

    /// Reads and checks the weights; gives the network and its class names in the order of the scores.
    pub fn network(&self) -> Result<(ResNet18, Vec<String>)> {
        let weights = Weights::open(&self.weights)?;
        let network =
            ResNet18::new(&weights).map_err(|error| error.with("file", self.weights.display()))?;
        let refuse = |message: String| {
            Err(Error::new(ErrorKind::InvalidConfig, "open model", message)
                .with("model", &self.name)
                .with("file", self.weights.display())
                .remedy("correct model.toml, or bring the weights it describes"))
        };
        if let Some(dim) = self.dim
            && dim != network.dim()
        {
            return refuse(format!(
                "model.toml promises embeddings of {dim} values, the weights give {}",
                network.dim()
            ));
        }
        let count = network.classes();
        let classes = match self.classes.len() {
            0 if count == CIFAR10_CLASSES.len() => CIFAR10_CLASSES.map(str::to_owned).to_vec(),
            0 => (0..count).map(|class| format!("class_{class}")).collect(),
            named if named == count => self.classes.clone(),
            named => {
                return refuse(format!(
                    "model.toml names {named} classes, the weights have {count}"
                ));
            }
        };
        Ok((network, classes))
    }
}

fn hash_file(path: &Path) -> Result<String> {
    let wrap = |e| Error::io("read weights", path, e);
    let mut file = File::open(path).map_err(wrap)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(wrap)? {
            0 => break,
            read => hasher.update(&buffer[..read]),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
