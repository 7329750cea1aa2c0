//! `model.toml`: weights, preprocessing, classes and the embedding layer.
//!
//! ```toml
//! name = "sample-resnet18"
//! architecture = "resnet18"
//! classes = ["bricks", "checks"]   # in the order of the scores
//!
//! [weights]
//! file = "weights.safetensors"     # beside this file; .pth or .safetensors
//! sha256 = "…"                     # optional; checked when given, see [`ModelPackage::sha256`]
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
//!
//! A graph of any network is described likewise, with `architecture = "onnx"`, the `.onnx` file as weights, and
//!
//! ```toml
//! [input]
//! name = "images"                  # optional where the graph has one input
//! layout = "nchw"                  # or "nhwc"
//!
//! [embedding]
//! layer = "embeddings"             # output of the graph, f32 [N, dim]
//! dim = 512
//!
//! [scores]
//! layer = "probabilities"          # optional output of the graph, f32 [N, classes]
//! ```

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use driftline_core::{Budget, Error, ErrorKind, ImageShape, Resize, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::external;
#[cfg(feature = "onnx")]
use crate::onnx;
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

/// Largest height and width of a model's input, in pixels: a mistyped one must not ask for all memory.
const MAX_SIDE: usize = 4096;

/// Longest `model.toml`; a thousand classes take 20 KB.
const MAX_MANIFEST: u64 = 1 << 20;

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

impl fmt::Display for Preprocessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resize = match self.resize {
            Resize::Stretch => "stretched",
            Resize::Crop => "cropped",
        };
        let (shape, mean, std) = (self.shape, self.mean, self.std);
        write!(f, "{shape} {resize}, mean {mean:?}, std {std:?}")
    }
}

impl Preprocessing {
    /// `(pixel / 255 - mean) / std` for each channel and pixel value.
    pub fn normalisation(&self) -> [[f32; 256]; 3] {
        std::array::from_fn(|channel| {
            let (mean, std) = (self.mean[channel], self.std[channel]);
            std::array::from_fn(|pixel| (pixel as f32 / 255.0 - mean) / std)
        })
    }
}

/// Order of the dimensions of a graph's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageLayout {
    /// `[N, 3, H, W]`
    #[default]
    Nchw,
    /// `[N, H, W, 3]`
    Nhwc,
}

/// An ONNX graph and what its inputs and outputs mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// The bytes of the `.onnx` file, or where it is (its external data lie beside it).
    pub content: GraphContent,
    /// Name of the input; without it the only one.
    pub input: Option<String>,
    /// Order of the input's dimensions.
    pub layout: ImageLayout,
    /// Name of the output with the embeddings, f32 `[N, dim]`.
    pub embeddings: String,
    /// Name of the output with the scores, f32 `[N, classes]`, if it has one.
    pub scores: Option<String>,
    /// Length of an embedding.
    pub dim: usize,
    /// Class names in the order of the scores.
    pub classes: Vec<String>,
}

/// See [`Graph::content`].
#[derive(Debug, Clone, PartialEq)]
pub enum GraphContent {
    /// Exported from weights.
    Bytes(Vec<u8>),
    /// A file of the user.
    File(PathBuf),
}

/// A model: its weights file and everything that gives its output a meaning.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelPackage {
    /// Name, as it is shown and published.
    pub name: String,
    /// The weights file.
    pub weights: PathBuf,
    /// Hex sha256 of the weights file as it is on disk.
    ///
    /// Of a graph that keeps tensors in other files ("external data") it is the sha256 of a text: a line with the sha256 of
    /// the graph, then for each location that the graph names, in the order of their bytes, a line with the sha256 of that
    /// file, two spaces and the location.
    pub sha256: String,
    /// Input size and normalisation.
    pub preprocessing: Preprocessing,
    /// Class names in the order of the scores; empty means "as many as the weights have", see [`Self::network`].
    classes: Vec<String>,
    /// Length of an embedding that `model.toml` promises.
    dim: Option<usize>,
    /// Inputs and outputs, for a model that is an ONNX graph.
    onnx: Option<OnnxNames>,
}

#[derive(Debug, Clone, PartialEq)]
struct OnnxNames {
    input: Option<String>,
    layout: ImageLayout,
    embeddings: String,
    scores: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: String,
    architecture: Architecture,
    #[serde(default)]
    classes: Vec<String>,
    weights: WeightsSection,
    input: InputSection,
    embedding: EmbeddingSection,
    scores: Option<ScoresSection>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Architecture {
    ResNet18,
    Onnx,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ScoresSection {
    layer: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WeightsSection {
    file: PathBuf,
    sha256: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct InputSection {
    height: usize,
    width: usize,
    mean: [f32; 3],
    std: [f32; 3],
    #[serde(default)]
    resize: Resize,
    name: Option<String>,
    layout: Option<ImageLayout>,
}

#[derive(Serialize, Deserialize)]
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
            Some("onnx") => Err(Error::new(
                ErrorKind::InvalidConfig,
                "open model",
                "an ONNX graph does not say how images become its input",
            )
            .with("file", path.display())
            .remedy("write a model.toml with `architecture = \"onnx\"` beside it, and pass that")),
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
        let io = |e| Error::io("read model.toml", path, e);
        let file = File::open(path).map_err(io)?;
        let text = Budget::new(MAX_MANIFEST).read_to_end(file).map_err(io)?;
        let refuse = |message: String| {
            Error::new(ErrorKind::InvalidConfig, "read model.toml", message)
                .with("file", path.display())
        };
        let manifest: Manifest =
            toml::from_slice(&text).map_err(|e| refuse(e.to_string().trim_end().to_owned()))?;
        let input = manifest.input;
        let onnx = match manifest.architecture {
            Architecture::ResNet18 => {
                if manifest.embedding.layer != EMBEDDING_LAYER {
                    return Err(refuse(format!(
                        "the embedding of a resnet18 is the output of `{EMBEDDING_LAYER}`, not of `{}`",
                        manifest.embedding.layer
                    )));
                }
                if input.name.is_some() || input.layout.is_some() || manifest.scores.is_some() {
                    return Err(refuse(
                        "input.name, input.layout and scores belong to `architecture = \"onnx\"`"
                            .to_owned(),
                    ));
                }
                None
            }
            Architecture::Onnx => Some(OnnxNames {
                input: input.name,
                layout: input.layout.unwrap_or_default(),
                embeddings: manifest.embedding.layer,
                scores: manifest.scores.map(|scores| scores.layer),
            }),
        };
        let scored = onnx.as_ref().is_none_or(|names| names.scores.is_some());
        if input.std.iter().any(|std| !std.is_finite() || *std <= 0.0)
            || input.mean.iter().any(|mean| !mean.is_finite())
        {
            return Err(refuse(
                "input.mean and input.std must be finite, and input.std above 0".to_owned(),
            ));
        }
        let sides = 1..=MAX_SIDE;
        if !sides.contains(&input.height) || !sides.contains(&input.width) {
            return Err(refuse(format!(
                "input.height and input.width must be from 1 to {MAX_SIDE}"
            )));
        }
        if manifest.classes.is_empty() == scored {
            return Err(refuse(if scored {
                "classes must name at least one class".to_owned()
            } else {
                "classes need an output with their scores: add `[scores]`".to_owned()
            }));
        }
        if manifest.embedding.dim == 0 {
            return Err(refuse("embedding.dim must be at least 1".to_owned()));
        }
        let weights = path.with_file_name(&manifest.weights.file);
        let sha256 = match &onnx {
            Some(_) => hash_graph(&weights)?,
            None => hash_file(&weights)?,
        };
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
            onnx,
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
            onnx: None,
        })
    }

    /// The model as an ONNX graph: exported from the weights, or the user's own.
    #[cfg(feature = "onnx")]
    pub fn graph(&self) -> Result<Graph> {
        if let (Some(names), Some(dim)) = (&self.onnx, self.dim) {
            return Ok(Graph {
                content: GraphContent::File(self.weights.clone()),
                input: names.input.clone(),
                layout: names.layout,
                embeddings: names.embeddings.clone(),
                scores: names.scores.clone(),
                dim,
                classes: self.classes.clone(),
            });
        }
        let (network, classes) = self.network()?;
        let bytes = onnx::export(&network, self.preprocessing.shape);
        Ok(Graph {
            content: GraphContent::Bytes(bytes),
            input: Some(onnx::INPUT.to_owned()),
            layout: ImageLayout::Nchw,
            embeddings: onnx::EMBEDDINGS.to_owned(),
            scores: Some(onnx::PROBABILITIES.to_owned()),
            dim: network.dim(),
            classes,
        })
    }

    /// Writes the graph to `path` and a `model.toml` that describes it beside it; returns the path of the latter.
    ///
    /// # Errors
    /// `Unsupported` for a model that is an ONNX graph already; `InvalidConfig` where another `model.toml` is there.
    #[cfg(feature = "onnx")]
    pub fn export_onnx(&self, path: &Path) -> Result<PathBuf> {
        let (network, classes) = self.network()?;
        let manifest = path.with_file_name("model.toml");
        if manifest.exists() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "export",
                "there is a model.toml beside the graph already",
            )
            .with("file", manifest.display())
            .remedy("export into a folder of its own"));
        }
        let graph = onnx::export(&network, self.preprocessing.shape);
        let sha256 = hex(&Sha256::digest(&graph));
        let write = |path: &Path, bytes: &[u8]| {
            std::fs::write(path, bytes).map_err(|e| Error::io("export", path, e))
        };
        write(path, &graph)?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let Preprocessing {
            shape,
            mean,
            std,
            resize,
        } = self.preprocessing;
        let text = toml::to_string(&Manifest {
            name: self.name.clone(),
            architecture: Architecture::Onnx,
            classes,
            weights: WeightsSection {
                file: PathBuf::from(file.as_ref()),
                sha256: Some(sha256),
            },
            input: InputSection {
                height: shape.height,
                width: shape.width,
                mean,
                std,
                resize,
                name: Some(onnx::INPUT.to_owned()),
                layout: Some(ImageLayout::Nchw),
            },
            embedding: EmbeddingSection {
                layer: onnx::EMBEDDINGS.to_owned(),
                dim: network.dim(),
            },
            scores: Some(ScoresSection {
                layer: onnx::PROBABILITIES.to_owned(),
            }),
        })
        .map_err(|cause| {
            Error::new(
                ErrorKind::Internal,
                "export",
                "model.toml cannot be written",
            )
            .because(cause)
        })?;
        write(&manifest, text.as_bytes())?;
        Ok(manifest)
    }

    /// Reads and checks the weights; gives the network and its class names in the order of the scores.
    ///
    /// # Errors
    /// `Unsupported` for a model that is an ONNX graph.
    pub fn network(&self) -> Result<(ResNet18, Vec<String>)> {
        if self.onnx.is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "open model",
                "this model is an ONNX graph, which this backend does not run",
            )
            .with("model", &self.name)
            .remedy("choose `--backend onnx`"));
        }
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

/// See [`ModelPackage::sha256`].
fn hash_graph(path: &Path) -> Result<String> {
    let graph = hash_file(path)?;
    let external = external::files(path)?;
    if external.is_empty() {
        return Ok(graph);
    }
    let mut text = format!("{graph}\n");
    for (location, file) in external {
        text.push_str(&format!("{}  {location}\n", hash_file(&file)?));
    }
    Ok(hex(&Sha256::digest(text)))
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
    Ok(hex(&hasher.finalize()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
