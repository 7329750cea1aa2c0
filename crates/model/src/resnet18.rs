//! ResNet-18 with an embedding head, checked and with batch norm folded into the convolutions.
//!
//! The layout is torchvision's `resnet18` with `fc = Sequential(Linear(8w, dim), ReLU, Linear(dim, classes))` at any
//! base width `w` (64 in the original): `conv1`, `bn1`, `layer{1..4}.{0,1}.{conv1,bn1,conv2,bn2}`,
//! `layer{2..4}.0.downsample.{0,1}`, `fc.0`, `fc.2`. Width, dim and classes are read from the weights.

use std::collections::BTreeSet;

use driftline_core::{Error, ErrorKind, Result};

use crate::Weights;

/// Epsilon of every batch norm, PyTorch's default.
const BATCH_NORM_EPSILON: f64 = 1e-5;

/// A convolution with the batch norm that follows it folded in.
#[derive(Debug, Clone, PartialEq)]
pub struct Conv {
    /// f32 `[out, in, kernel, kernel]`, row-major.
    pub weight: Vec<f32>,
    /// f32 `[out]`.
    pub bias: Vec<f32>,
    /// Output channels.
    pub out_channels: usize,
    /// Input channels.
    pub in_channels: usize,
    /// Side of the square kernel.
    pub kernel: usize,
    /// Step in both directions.
    pub stride: usize,
    /// Zeros around the input on each side.
    pub padding: usize,
}

/// A fully connected layer: `y = weight x + bias`.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// f32 `[out, in]`, row-major.
    pub weight: Vec<f32>,
    /// f32 `[out]`.
    pub bias: Vec<f32>,
    /// Length of the output.
    pub outputs: usize,
    /// Length of the input.
    pub inputs: usize,
}

/// A basic block: `relu(conv2(relu(conv1(x))) + shortcut(x))`.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// First convolution, which carries the stride.
    pub conv1: Conv,
    /// Second convolution.
    pub conv2: Conv,
    /// The shortcut where shape changes; the identity elsewhere.
    pub downsample: Option<Conv>,
}

/// The network: stem, max pool 3x3 with stride 2 and padding 1, eight blocks, mean over the plane, `fc.0`
/// (the embedding), ReLU, `fc.2`, softmax.
#[derive(Debug, Clone, PartialEq)]
pub struct ResNet18 {
    /// 7x7 convolution with stride 2 and padding 3; a ReLU and the max pool follow.
    pub stem: Conv,
    /// The blocks in order.
    pub blocks: Vec<Block>,
    /// `fc.0`.
    pub embedding: Linear,
    /// `fc.2`.
    pub head: Linear,
}

impl ResNet18 {
    /// Takes the tensors of the architecture out of `weights`; one that is missing, too many, misshapen or not
    /// finite is an error that names it, with both shapes.
    pub fn new(weights: &Weights) -> Result<Self> {
        let mut reader = Reader {
            weights,
            used: BTreeSet::new(),
        };
        let [width, _, _, _] = reader.shape("conv1.weight", "[width, 3, 7, 7]")?;
        let stem = reader.conv("conv1", "bn1", [width, 3, 7], 2)?;
        let mut blocks = Vec::new();
        let mut channels = width;
        for layer in 1..=4_usize {
            for index in 0..2 {
                let name = format!("layer{layer}.{index}");
                let out = width << (layer - 1);
                let stride = if layer > 1 && index == 0 { 2 } else { 1 };
                let part = |part: &str| format!("{name}.{part}");
                blocks.push(Block {
                    conv1: reader.conv(&part("conv1"), &part("bn1"), [out, channels, 3], stride)?,
                    conv2: reader.conv(&part("conv2"), &part("bn2"), [out, out, 3], 1)?,
                    downsample: if stride == 2 {
                        let (conv, norm) = (part("downsample.0"), part("downsample.1"));
                        Some(reader.conv(&conv, &norm, [out, channels, 1], stride)?)
                    } else {
                        None
                    },
                });
                channels = out;
            }
        }
        let [dim, _] = reader.shape("fc.0.weight", "[dim, 8 * width]")?;
        let embedding = reader.linear("fc.0", dim, channels)?;
        let [classes, _] = reader.shape("fc.2.weight", "[classes, dim]")?;
        let head = reader.linear("fc.2", classes, dim)?;
        reader.refuse_unused()?;
        Ok(Self {
            stem,
            blocks,
            embedding,
            head,
        })
    }

    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.embedding.outputs
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.head.outputs
    }

    /// Channels after the stem: 64 in the original.
    pub fn base_width(&self) -> usize {
        self.stem.out_channels
    }
}

struct Reader<'a> {
    weights: &'a Weights,
    used: BTreeSet<String>,
}

fn refuse(message: String, tensor: &str) -> Error {
    Error::new(ErrorKind::InvalidData, "read weights", message)
        .with("tensor", tensor)
        .remedy("these weights do not belong to a ResNet-18 with the head Linear, ReLU, Linear")
}

impl<'a> Reader<'a> {
    fn tensor(&mut self, name: &str, expected: &str) -> Result<&'a crate::Tensor> {
        let tensor = self.weights.tensors.get(name).ok_or_else(|| {
            refuse(
                format!("the tensor `{name}` of shape {expected} is missing"),
                name,
            )
        })?;
        self.used.insert(name.to_owned());
        Ok(tensor)
    }

    fn shape<const N: usize>(&mut self, name: &str, expected: &str) -> Result<[usize; N]> {
        let shape = &self.tensor(name, expected)?.shape;
        match <[usize; N]>::try_from(shape.as_slice()) {
            Ok(lengths) if lengths.iter().all(|length| *length > 0) => Ok(lengths),
            _ => Err(refuse(
                format!("the tensor `{name}` has shape {shape:?}, expected {expected}"),
                name,
            )),
        }
    }

    fn values(&mut self, name: &str, shape: &[usize]) -> Result<&'a [f32]> {
        let tensor = self.tensor(name, &format!("{shape:?}"))?;
        if tensor.shape != shape {
            return Err(refuse(
                format!(
                    "the tensor `{name}` has shape {:?}, expected {shape:?}",
                    tensor.shape
                ),
                name,
            ));
        }
        match tensor.data.iter().position(|value| !value.is_finite()) {
            None => Ok(&tensor.data),
            Some(at) => Err(Error::new(
                ErrorKind::InvalidData,
                "read weights",
                format!(
                    "the tensor `{name}` holds {} at position {at}",
                    tensor.data[at]
                ),
            )
            .with("tensor", name)
            .remedy("train or export the model again: weights must be finite")),
        }
    }

    /// A convolution without bias and the batch norm after it, as one convolution:
    /// `w' = w g / sqrt(v + eps)`, `b' = b - m g / sqrt(v + eps)`, in f64.
    fn conv(
        &mut self,
        conv: &str,
        norm: &str,
        [out_channels, in_channels, kernel]: [usize; 3],
        stride: usize,
    ) -> Result<Conv> {
        let shape = [out_channels, in_channels, kernel, kernel];
        let weight = self.values(&format!("{conv}.weight"), &shape)?;
        let mut vector = |part: &str| self.values(&format!("{norm}.{part}"), &[out_channels]);
        let gamma = vector("weight")?;
        let beta = vector("bias")?;
        let mean = vector("running_mean")?;
        let variance = vector("running_var")?;
        if let Some(at) = variance.iter().position(|value| *value < 0.0) {
            return Err(refuse(
                format!("the variance `{norm}.running_var` is negative at position {at}"),
                &format!("{norm}.running_var"),
            ));
        }
        let scale: Vec<f64> = gamma
            .iter()
            .zip(variance)
            .map(|(g, v)| f64::from(*g) / (f64::from(*v) + BATCH_NORM_EPSILON).sqrt())
            .collect();
        let taps = in_channels * kernel * kernel;
        Ok(Conv {
            weight: weight
                .chunks_exact(taps)
                .zip(&scale)
                .flat_map(|(row, s)| row.iter().map(move |w| (f64::from(*w) * s) as f32))
                .collect(),
            bias: beta
                .iter()
                .zip(mean)
                .zip(&scale)
                .map(|((b, m), s)| (f64::from(*b) - f64::from(*m) * s) as f32)
                .collect(),
            out_channels,
            in_channels,
            kernel,
            stride,
            padding: kernel / 2,
        })
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Linear> {
        Ok(Linear {
            weight: self
                .values(&format!("{name}.weight"), &[outputs, inputs])?
                .to_vec(),
            bias: self.values(&format!("{name}.bias"), &[outputs])?.to_vec(),
            outputs,
            inputs,
        })
    }

    fn refuse_unused(&self) -> Result<()> {
        let extra =
            self.weights.tensors.iter().find(|(name, _)| {
                !self.used.contains(*name) && !name.ends_with("num_batches_tracked")
            });
        match extra {
            None => Ok(()),
            Some((name, tensor)) => Err(refuse(
                format!(
                    "the tensor `{name}` of shape {:?} has no place in the architecture",
                    tensor.shape
                ),
                name,
            )),
        }
    }
}
