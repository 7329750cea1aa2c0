//! Engines that turn images into embeddings.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, ImageShape, ImageView, Result};

/// Arithmetic a backend promises to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Precision {
    /// IEEE single precision in every product and sum.
    Fp32,
    /// Products of factors rounded to 10 bits, sums in single precision.
    Tf32,
    /// Products of factors rounded to the 7 bits of bfloat16, sums in single precision.
    Bf16,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fp32 => f.write_str("fp32"),
            Self::Tf32 => f.write_str("tf32"),
            Self::Bf16 => f.write_str("bf16"),
        }
    }
}

impl FromStr for Precision {
    type Err = Error;

    /// Reads `fp32`, `tf32` or `bf16`.
    fn from_str(text: &str) -> Result<Self> {
        [Self::Fp32, Self::Tf32, Self::Bf16]
            .into_iter()
            .find(|precision| precision.to_string() == text)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidConfig,
                    "read precision",
                    format!("`{text}` is not a precision"),
                )
                .remedy("write `fp32`, `tf32` or `bf16`")
            })
    }
}

/// Where a backend computes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = Error;

    /// Reads `cpu`, `cuda` (the first one) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self> {
        let device = match text.split_once(':') {
            None if text == "cpu" => Some(Self::Cpu),
            None if text == "cuda" => Some(Self::Cuda(0)),
            Some(("cuda", index)) => index.parse().ok().map(Self::Cuda),
            _ => None,
        };
        device.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidConfig,
                "read device",
                format!("`{text}` is no device"),
            )
            .remedy("write `cpu`, `cuda` or `cuda:N`")
        })
    }
}

impl Serialize for Device {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Device {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a backend computes with on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Engine {
    /// Engine and version, as in `onnxruntime 1.32.0`.
    pub version: String,
    /// What it computes on, on this machine.
    pub devices: Vec<Device>,
}

impl Engine {
    /// An engine that computes on the CPU alone.
    pub fn on_cpu(version: impl Into<String>) -> Self {
        Self {
            version: version.into(),
            devices: vec![Device::Cpu],
        }
    }
}

/// What a backend is made from.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendConfig {
    /// A `model.toml` or a weights file.
    pub model: PathBuf,
    /// Threads to compute with, at least 1.
    pub threads: usize,
    /// Where to compute; a backend that cannot compute there refuses.
    #[serde(default)]
    pub device: Device,
    /// The library of the engine, for a backend that loads one; without it the backend looks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<PathBuf>,
    /// Arithmetic to use, which a backend without it refuses; without it fp32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<Precision>,
}

impl BackendConfig {
    /// A model on `threads` threads of the CPU, everything else as the backend chooses.
    pub fn new(model: PathBuf, threads: usize) -> Self {
        Self {
            model,
            threads,
            device: Device::Cpu,
            runtime: None,
            precision: None,
        }
    }

    /// Refuses every device but the CPU, in the name of a backend that knows no other.
    pub fn cpu_only(&self, backend: &str) -> Result<()> {
        match self.device {
            Device::Cpu => Ok(()),
            device => Err(Error::new(
                ErrorKind::Unsupported,
                "open backend",
                format!("the {backend} backend computes on the CPU only, not on {device}"),
            )
            .remedy(
                "use `--device cpu`, or a backend that `driftline backends` lists with this device",
            )),
        }
    }

    /// Refuses every precision but fp32, in the name of a backend that knows no other.
    pub fn fp32_only(&self, backend: &str) -> Result<()> {
        match self.precision {
            None | Some(Precision::Fp32) => Ok(()),
            Some(precision) => Err(Error::new(
                ErrorKind::Unsupported,
                "open backend",
                format!("the {backend} backend computes in fp32 only, not in {precision}"),
            )
            .remedy("use `--precision fp32`, or `--backend candle` for bf16")),
        }
    }
}

/// What a backend is and what it produces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendInfo {
    /// Registered name, as in `--backend candle`.
    pub name: String,
    /// Engine and version, as in `candle 0.11.1`.
    pub engine: String,
    /// Where it computes.
    pub device: Device,
    /// Arithmetic in use.
    pub precision: Precision,
    /// Threads in use.
    pub threads: usize,
    /// Height and width of the images it accepts.
    pub input: ImageShape,
    /// Length of an embedding.
    pub dim: usize,
    /// Class names in the order of the scores.
    pub classes: Vec<String>,
    /// What a user should know about how it runs, such as what makes it slower here; each is said once, at the start.
    pub notes: Vec<String>,
}

/// Output buffers of one [`EmbeddingBackend::embed`] call, owned.
#[derive(Debug, Clone, Default)]
pub struct Inference {
    /// f32 `[N, dim]`, row-major.
    pub embeddings: Vec<f32>,
    /// f32 `[N, classes]`, row-major; softmax probabilities, each row sums to 1.
    pub scores: Vec<f32>,
}

impl Inference {
    /// Makes room for `n` images of `info`'s backend, keeping the allocation; every value becomes NaN, so that
    /// one that was not written is seen.
    pub fn reset(&mut self, info: &BackendInfo, n: usize) {
        self.embeddings.clear();
        self.embeddings.resize(n * info.dim, f32::NAN);
        self.scores.clear();
        self.scores.resize(n * info.classes.len(), f32::NAN);
    }

    /// The buffers as a backend fills them.
    pub fn as_mut(&mut self) -> InferenceMut<'_> {
        InferenceMut {
            embeddings: &mut self.embeddings,
            scores: Some(&mut self.scores),
        }
    }
}

/// Output buffers of one [`EmbeddingBackend::embed`] call, allocated by the caller.
#[derive(Debug)]
pub struct InferenceMut<'a> {
    /// f32 `[N, dim]`, row-major.
    pub embeddings: &'a mut [f32],
    /// f32 `[N, classes]`, row-major, or `None` when the caller does not want scores.
    pub scores: Option<&'a mut [f32]>,
}

impl InferenceMut<'_> {
    /// Refuses images and buffers that do not fit `info`; a backend calls it first.
    pub fn check(&self, info: &BackendInfo, images: ImageView<'_>) -> Result<()> {
        let refuse = |what: &str, expected: String, found: String| {
            Err(Error::new(
                ErrorKind::InvalidData,
                "embed",
                format!("{what}: expected {expected}, found {found}"),
            )
            .with("backend", &info.name))
        };
        if images.shape() != info.input {
            return refuse(
                "image size",
                info.input.to_string(),
                images.shape().to_string(),
            );
        }
        let n = images.len();
        if self.embeddings.len() != n * info.dim {
            return refuse(
                "embedding buffer",
                format!("[{n}, {}] values", info.dim),
                format!("{} values", self.embeddings.len()),
            );
        }
        if let Some(scores) = &self.scores
            && scores.len() != n * info.classes.len()
        {
            return refuse(
                "score buffer",
                format!("[{n}, {}] values", info.classes.len()),
                format!("{} values", scores.len()),
            );
        }
        Ok(())
    }
}

/// An engine that runs a model.
///
/// # Behavior
/// - `embed` writes every element of `out` or returns an error.
/// - Row `i` of the output belongs to image `i`, and does not depend on the other images beyond rounding.
/// - The output does not depend on the number of threads.
/// - No image is no work: `N = 0` succeeds.
/// - A failed call leaves the backend usable.
pub trait EmbeddingBackend: Send {
    /// What this backend is and what it produces.
    fn info(&self) -> &BackendInfo;

    /// Runs the model.
    ///
    /// | value | dtype and shape | range |
    /// | --- | --- | --- |
    /// | `images` | u8 `[N, H, W, 3]` RGB | 0..=255; the backend normalises |
    /// | `out.embeddings` | f32 `[N, dim]` | finite, before the ReLU that follows the layer |
    /// | `out.scores` | f32 `[N, classes]` | softmax, 0..=1 |
    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_read_as_it_is_written() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(3)] {
            assert_eq!(device.to_string().parse::<Device>().unwrap(), device);
        }
        assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
        for text in ["", "gpu", "cuda:", "cuda:-1", "cpu:0"] {
            assert!(text.parse::<Device>().is_err(), "{text}");
        }
    }
}
