//! Seeded models and images.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, ImageShape, Result};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde::Serialize;

/// An image, u8 `[H, W, 3]`.
pub type Image = Vec<u8>;

/// Seed of everything that is drawn here.
pub const SEED: u64 = 2026;

/// Length of an embedding.
pub const DIM: usize = 128;

/// Number of classes.
pub const CLASSES: usize = 10;

/// A tensor whose values are exact in f32.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticTensor {
    /// Length of each dimension.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f64>,
}

/// A ResNet-18 with drawn weights.
#[derive(Debug, Clone, PartialEq)]
pub struct SyntheticModel {
    /// Channels of the first stage.
    pub base_width: usize,
    /// Size of the input.
    pub shape: ImageShape,
    /// Mean of each channel, in units of pixel / 255; different ones, so that swapped channels are seen.
    pub mean: [f64; 3],
    /// Standard deviation of each channel, in units of pixel / 255.
    pub std: [f64; 3],
    /// By torchvision's names.
    pub tensors: BTreeMap<String, SyntheticTensor>,
}

#[derive(Serialize)]
struct Manifest {
    name: String,
    architecture: &'static str,
    classes: Vec<String>,
    weights: Weights,
    input: Input,
    embedding: Embedding,
}

#[derive(Serialize)]
struct Weights {
    file: &'static str,
}

#[derive(Serialize)]
struct Input {
    height: usize,
    width: usize,
    mean: [f64; 3],
    std: [f64; 3],
}

#[derive(Serialize)]
struct Embedding {
    layer: &'static str,
    dim: usize,
}

impl SyntheticModel {
    /// A model of a base width, for images of a size.
    pub fn new(base_width: usize, shape: ImageShape) -> Self {
        let mut draw = Draw(ChaCha8Rng::seed_from_u64(SEED + base_width as u64));
        let mut tensors = BTreeMap::new();
        let mut conv_norm = |conv: &str, norm: &str, out: usize, channels: usize, kernel: usize| {
            let scale = (2.0 / (channels * kernel * kernel) as f64).sqrt();
            tensors.insert(
                format!("{conv}.weight"),
                draw.tensor(&[out, channels, kernel, kernel], 0.0, scale),
            );
            // Far from what a new network has, so that each of the four is seen.
            for (part, centre, spread) in [
                ("weight", 1.0, 0.2),
                ("bias", 0.0, 0.2),
                ("running_mean", 0.0, 0.2),
                ("running_var", 1.0, 0.2),
            ] {
                tensors.insert(
                    format!("{norm}.{part}"),
                    draw.tensor(&[out], centre, spread),
                );
            }
        };
        conv_norm("conv1", "bn1", base_width, 3, 7);
        let mut channels = base_width;
        for layer in 1..=4_usize {
            let out = base_width << (layer - 1);
            for block in 0..2 {
                let name = format!("layer{layer}.{block}");
                let part = |part: &str| format!("{name}.{part}");
                conv_norm(&part("conv1"), &part("bn1"), out, channels, 3);
                conv_norm(&part("conv2"), &part("bn2"), out, out, 3);
                if layer > 1 && block == 0 {
                    conv_norm(
                        &part("downsample.0"),
                        &part("downsample.1"),
                        out,
                        channels,
                        1,
                    );
                }
                channels = out;
            }
        }
        for (name, out, inputs) in [("fc.0", DIM, channels), ("fc.2", CLASSES, DIM)] {
            let scale = (1.0 / inputs as f64).sqrt();
            tensors.insert(
                format!("{name}.weight"),
                draw.tensor(&[out, inputs], 0.0, scale),
            );
            tensors.insert(format!("{name}.bias"), draw.tensor(&[out], 0.0, 0.5));
        }
        Self {
            base_width,
            shape,
            // Exact in f32, as everything that is drawn.
            mean: [0.375, 0.5, 0.625],
            std: [0.25, 0.3125, 0.375],
            tensors,
        }
    }

    /// The tensor `name`, which every model here has.
    pub(crate) fn tensor(&self, name: &str) -> &SyntheticTensor {
        self.tensors
            .get(name)
            .unwrap_or_else(|| unreachable!("a synthetic model has {name}"))
    }

    /// Class names in the order of the scores.
    pub fn classes(&self) -> Vec<String> {
        (0..CLASSES).map(|class| format!("class-{class}")).collect()
    }

    /// Writes `weights.safetensors` (f32) and `model.toml` into `folder`; returns the path of the latter.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let internal = |cause: Box<dyn std::error::Error + Send + Sync>| {
            Error::new(ErrorKind::Internal, "write model", "it cannot be written").because(cause)
        };
        let bytes: Vec<(&String, &SyntheticTensor, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                let values = tensor.values.iter();
                let bytes = values
                    .flat_map(|value| (*value as f32).to_le_bytes())
                    .collect();
                (name, tensor, bytes)
            })
            .collect();
        let views = bytes
            .iter()
            .map(|(name, tensor, bytes)| {
                let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes);
                view.map(|view| (name.as_str(), view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|cause| internal(cause.into()))?;
        let file = safetensors::serialize(views, None).map_err(|cause| internal(cause.into()))?;
        let manifest = toml::to_string(&Manifest {
            name: format!("synthetic-{}", self.base_width),
            architecture: "resnet18",
            classes: self.classes(),
            weights: Weights {
                file: "weights.safetensors",
            },
            input: Input {
                height: self.shape.height,
                width: self.shape.width,
                mean: self.mean,
                std: self.std,
            },
            embedding: Embedding {
                layer: "fc.0",
                dim: DIM,
            },
        })
        .map_err(|cause| internal(cause.into()))?;
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, bytes).map_err(|e| Error::io("write model", &path, e))?;
            Ok(path)
        };
        write("weights.safetensors", &file)?;
        write("model.toml", manifest.as_bytes())
    }
}

/// `count` different images from `first` on: two coloured waves each, with noise on them, `contrast` 1 for full range.
pub fn images(shape: ImageShape, first: u64, count: u64, contrast: f64) -> Vec<Image> {
    (first..first + count)
        .map(|row| {
            let mut random = ChaCha8Rng::seed_from_u64(SEED);
            random.set_stream(row);
            let mut draw = |low: f64, high: f64| random.random_range(low..high);
            let base = [draw(0.2, 0.8), draw(0.2, 0.8), draw(0.2, 0.8)];
            let waves: Vec<_> = (0..2)
                .map(|_| {
                    (
                        draw(-0.6, 0.6),
                        draw(-0.6, 0.6),
                        draw(0.0, 6.0),
                        draw(0.0, 0.4),
                    )
                })
                .collect();
            let noise = draw(0.0, 0.3);
            let mut image = Vec::with_capacity(shape.bytes());
            for y in 0..shape.height {
                for x in 0..shape.width {
                    for (channel, base) in base.iter().enumerate() {
                        let wave: f64 = waves
                            .iter()
                            .map(|(fy, fx, phase, height)| {
                                let angle = fy * y as f64 + fx * x as f64 + phase + channel as f64;
                                height * angle.sin()
                            })
                            .sum();
                        let value = contrast * (base + wave + noise * draw(-1.0, 1.0));
                        image.push((255.0 * value).clamp(0.0, 255.0) as u8);
                    }
                }
            }
            image
        })
        .collect()
}

struct Draw(ChaCha8Rng);

impl Draw {
    /// Values around `centre` with standard deviation `spread`, within four of them, exact in f32.
    fn tensor(&mut self, shape: &[usize], centre: f64, spread: f64) -> SyntheticTensor {
        let count = shape.iter().product();
        let values = (0..count)
            .map(|_| {
                // Twelve uniform numbers have variance 1 and add to something close to normal.
                let sum: f64 = (0..12).map(|_| self.0.random_range(-0.5..0.5)).sum();
                f64::from((centre + spread * sum.clamp(-4.0, 4.0)) as f32)
            })
            .collect();
        SyntheticTensor {
            shape: shape.to_vec(),
            values,
        }
    }
}
