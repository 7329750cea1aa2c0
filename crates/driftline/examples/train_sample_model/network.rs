//! ResNet-18 as it is trained: batch statistics in, state dict out.
//!
//! Activations are `[N * H * W, C]`, so that a convolution is one matrix product.

use std::collections::BTreeMap;

use candle_core::{D, Device, Result, Tensor, Var};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::ops::Patches;

/// Epsilon and momentum of every batch norm, PyTorch's defaults.
const EPSILON: f64 = 1e-5;
const MOMENTUM: f64 = 0.1;

/// What is passed from layer to layer.
struct Plane {
    rows: Tensor,
    height: usize,
    width: usize,
}

/// A convolution without bias, and the batch norm that follows it.
struct Conv {
    weight: Var,
    gamma: Var,
    beta: Var,
    mean: Var,
    variance: Var,
    stride: usize,
}

impl Conv {
    fn forward(&self, x: &Plane, train: bool) -> Result<Plane> {
        let (out, channels, kernel, _) = self.weight.dims4()?;
        let patches = Patches {
            height: x.height,
            width: x.width,
            kernel,
            stride: self.stride,
            padding: kernel / 2,
        };
        let matrix = self
            .weight
            .permute((2, 3, 1, 0))?
            .reshape((kernel * kernel * channels, out))?;
        let y = patches.of(&x.rows)?.matmul(&matrix)?;
        let (height, width) = patches.out();
        Ok(Plane {
            rows: self.normalise(&y, train)?,
            height,
            width,
        })
    }

    fn normalise(&self, y: &Tensor, train: bool) -> Result<Tensor> {
        let (centred, variance) = if train {
            // A product with ones is the fast way to sum over the first dimension.
            let count = y.dim(0)?;
            let mean_of = Tensor::full(1.0 / count as f32, (1, count), y.device())?;
            let mean = mean_of.matmul(y)?;
            let centred = y.broadcast_sub(&mean)?;
            let variance = mean_of.matmul(&centred.sqr()?)?;
            let unbiased = count as f64 / (count as f64 - 1.0);
            follow(&self.mean, &mean.flatten_all()?)?;
            follow(&self.variance, &(variance.flatten_all()? * unbiased)?)?;
            (centred, variance)
        } else {
            let mean = self.mean.as_detached_tensor().unsqueeze(0)?;
            let variance = self.variance.as_detached_tensor().unsqueeze(0)?;
            (y.broadcast_sub(&mean)?, variance)
        };
        let gamma = self.gamma.unsqueeze(0)?;
        let scale = (gamma / (variance + EPSILON)?.sqrt()?)?;
        centred
            .broadcast_mul(&scale)?
            .broadcast_add(&self.beta.unsqueeze(0)?)
    }
}

/// Moves a running statistic towards that of the batch.
fn follow(running: &Var, batch: &Tensor) -> Result<()> {
    let moved =
        ((running.as_detached_tensor() * (1.0 - MOMENTUM))? + (batch.detach() * MOMENTUM)?)?;
    running.set(&moved)
}

struct Block {
    conv1: Conv,
    conv2: Conv,
    downsample: Option<Conv>,
}

impl Block {
    fn forward(&self, x: &Plane, train: bool) -> Result<Plane> {
        let mut y = self.conv1.forward(x, train)?;
        y.rows = y.rows.relu()?;
        let mut y = self.conv2.forward(&y, train)?;
        y.rows = match &self.downsample {
            Some(conv) => (y.rows + conv.forward(x, train)?.rows)?,
            None => (y.rows + &x.rows)?,
        }
        .relu()?;
        Ok(y)
    }
}

struct Linear {
    weight: Var,
    bias: Var,
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

/// Sizes of a network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Channels after the first convolution.
    pub(super) width: usize,
    /// Length of the embedding.
    pub(super) dim: usize,
    pub(super) classes: usize,
}

/// The network with its parameters.
pub(super) struct Network {
    stem: Conv,
    blocks: Vec<Block>,
    embedding: Linear,
    head: Linear,
    /// What the optimiser changes.
    parameters: Vec<Var>,
    /// All tensors under the names that torchvision gives them.
    state: BTreeMap<String, Var>,
}

impl Network {
    pub(super) fn new(sizes: Sizes, seed: u64) -> Result<Self> {
        let Sizes {
            width,
            dim,
            classes,
        } = sizes;
        let mut init = Init {
            rng: ChaCha8Rng::seed_from_u64(seed),
            parameters: Vec::new(),
            state: BTreeMap::new(),
        };
        let stem = init.conv("conv1", "bn1", [width, 3, 7], 2)?;
        let mut blocks = Vec::new();
        let mut channels = width;
        for layer in 1..=4 {
            for index in 0..2 {
                let out = width << (layer - 1);
                let stride = if layer > 1 && index == 0 { 2 } else { 1 };
                let part = |part: &str| format!("layer{layer}.{index}.{part}");
                blocks.push(Block {
                    conv1: init.conv(&part("conv1"), &part("bn1"), [out, channels, 3], stride)?,
                    conv2: init.conv(&part("conv2"), &part("bn2"), [out, out, 3], 1)?,
                    downsample: if stride == 2 {
                        let (conv, norm) = (part("downsample.0"), part("downsample.1"));
                        Some(init.conv(&conv, &norm, [out, channels, 1], stride)?)
                    } else {
                        None
                    },
                });
                channels = out;
            }
        }
        Ok(Self {
            stem,
            blocks,
            embedding: init.linear("fc.0", dim, channels)?,
            head: init.linear("fc.2", classes, dim)?,
            parameters: init.parameters,
            state: init.state,
        })
    }

    /// f32 `[N * height * width, 3]`, normalised, to logits `[N, classes]`. Training uses the statistics of the batch
    /// and lets the running ones follow.
    pub(super) fn forward(
        &self,
        rows: Tensor,
        height: usize,
        width: usize,
        train: bool,
    ) -> Result<Tensor> {
        let x = Plane {
            rows,
            height,
            width,
        };
        let mut x = max_pool(&self.stem.forward(&x, train)?)?;
        for block in &self.blocks {
            x = block.forward(&x, train)?;
        }
        let area = x.height * x.width;
        let (pixels, channels) = x.rows.dims2()?;
        let pooled = x.rows.reshape((pixels / area, area, channels))?.mean(1)?;
        self.head.forward(&self.embedding.forward(&pooled)?.relu()?)
    }

    pub(super) fn parameters(&self) -> Vec<Var> {
        self.parameters.clone()
    }

    /// All tensors under their names in PyTorch's state dict.
    pub(super) fn state(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.state
            .iter()
            .map(|(name, var)| (name.as_str(), var.as_tensor()))
    }
}

/// ReLU, then the maximum of 3x3 with stride 2 and padding 1: after a ReLU nothing is below the zeros of the border.
fn max_pool(x: &Plane) -> Result<Plane> {
    let patches = Patches {
        height: x.height,
        width: x.width,
        kernel: 3,
        stride: 2,
        padding: 1,
    };
    let rows = x.rows.relu()?;
    let (_, channels) = rows.dims2()?;
    let of_patches = patches.of(&rows)?;
    let mut most = of_patches.narrow(D::Minus1, 0, channels)?;
    for at in 1..9 {
        most = most.maximum(&of_patches.narrow(D::Minus1, at * channels, channels)?)?;
    }
    let (height, width) = patches.out();
    Ok(Plane {
        rows: most,
        height,
        width,
    })
}

/// Makes parameters and keeps them by name.
struct Init {
    rng: ChaCha8Rng,
    parameters: Vec<Var>,
    state: BTreeMap<String, Var>,
}

impl Init {
    fn keep(&mut self, name: String, tensor: &Tensor, trained: bool) -> Result<Var> {
        let var = Var::from_tensor(tensor)?;
        if trained {
            self.parameters.push(var.clone());
        }
        self.state.insert(name, var.clone());
        Ok(var)
    }

    /// Uniform in `-bound..bound`.
    fn uniform(&mut self, name: String, shape: &[usize], bound: f32) -> Result<Var> {
        let values: Vec<f32> = (0..shape.iter().product())
            .map(|_| bound * ((self.rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0))
            .collect();
        let tensor = Tensor::from_vec(values, shape, &Device::Cpu)?;
        self.keep(name, &tensor, true)
    }

    fn constant(&mut self, name: String, length: usize, value: f32, trained: bool) -> Result<Var> {
        self.keep(name, &Tensor::full(value, length, &Device::Cpu)?, trained)
    }

    /// He et al. 2015, "Delving Deep into Rectifiers": variance `2 / fan_in`.
    fn conv(
        &mut self,
        conv: &str,
        norm: &str,
        [out, channels, kernel]: [usize; 3],
        stride: usize,
    ) -> Result<Conv> {
        let bound = (6.0 / (channels * kernel * kernel) as f32).sqrt();
        let shape = [out, channels, kernel, kernel];
        Ok(Conv {
            weight: self.uniform(format!("{conv}.weight"), &shape, bound)?,
            gamma: self.constant(format!("{norm}.weight"), out, 1.0, true)?,
            beta: self.constant(format!("{norm}.bias"), out, 0.0, true)?,
            mean: self.constant(format!("{norm}.running_mean"), out, 0.0, false)?,
            variance: self.constant(format!("{norm}.running_var"), out, 1.0, false)?,
            stride,
        })
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize) -> Result<Linear> {
        let bound = 1.0 / (inputs as f32).sqrt();
        Ok(Linear {
            weight: self.uniform(format!("{name}.weight"), &[outputs, inputs], bound)?,
            bias: self.uniform(format!("{name}.bias"), &[outputs], bound)?,
        })
    }
}
