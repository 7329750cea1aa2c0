//! The network as candle tensors.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax;
use driftline_model as model;

use crate::convolution::{Convolution, MaxPool};

struct Linear {
    /// `[in, out]`, contiguous.
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(linear: &model::Linear) -> Result<Self> {
        let weight = Tensor::from_slice(
            &linear.weight,
            (linear.outputs, linear.inputs),
            &Device::Cpu,
        )?;
        Ok(Self {
            weight: weight.t()?.contiguous()?,
            bias: Tensor::from_slice(&linear.bias, linear.outputs, &Device::Cpu)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight)?.broadcast_add(&self.bias)
    }
}

struct Block {
    conv1: Convolution,
    conv2: Convolution,
    downsample: Option<Convolution>,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = x.apply_op1_no_bwd(&self.conv1)?;
        let shortcut = match &self.downsample {
            Some(conv) => &x.apply_op1_no_bwd(conv)?,
            None => x,
        };
        y.apply_op2_no_bwd(shortcut, &self.conv2)
    }
}

/// ResNet-18, ready to run.
pub(crate) struct Network {
    stem: Convolution,
    blocks: Vec<Block>,
    embedding: Linear,
    head: Linear,
}

impl Network {
    pub(crate) fn new(network: &model::ResNet18) -> Result<Self> {
        let block = |block: &model::Block| Block {
            conv1: Convolution::new(&block.conv1, true),
            conv2: Convolution::new(&block.conv2, true),
            downsample: block
                .downsample
                .as_ref()
                .map(|conv| Convolution::new(conv, false)),
        };
        Ok(Self {
            stem: Convolution::new(&network.stem, true),
            blocks: network.blocks.iter().map(block).collect(),
            embedding: Linear::new(&network.embedding)?,
            head: Linear::new(&network.head)?,
        })
    }

    /// `x`: f32 `[N, H, W, 3]`, normalised. Gives embeddings `[N, dim]` and softmax scores `[N, classes]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let mut y = x.apply_op1_no_bwd(&self.stem)?.apply_op1_no_bwd(&MaxPool)?;
        for block in &self.blocks {
            y = block.forward(&y)?;
        }
        let pooled = y.mean((1, 2))?;
        let embeddings = self.embedding.forward(&pooled)?;
        let logits = self.head.forward(&embeddings.relu()?)?;
        Ok((embeddings, softmax(&logits, D::Minus1)?))
    }
}
