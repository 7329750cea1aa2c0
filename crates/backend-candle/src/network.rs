//! The network as candle tensors.

use candle_core::{D, Device, Result, Tensor};
use candle_nn::ops::softmax;
use driftline_model as model;

struct Conv {
    weight: Tensor,
    /// `[1, out, 1, 1]`, so that it broadcasts over batch and plane.
    bias: Tensor,
    stride: usize,
    padding: usize,
}

impl Conv {
    fn new(conv: &model::Conv) -> Result<Self> {
        let shape = (
            conv.out_channels,
            conv.in_channels,
            conv.kernel,
            conv.kernel,
        );
        Ok(Self {
            weight: Tensor::from_slice(&conv.weight, shape, &Device::Cpu)?,
            bias: Tensor::from_slice(&conv.bias, (1, conv.out_channels, 1, 1), &Device::Cpu)?,
            stride: conv.stride,
            padding: conv.padding,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.conv2d(&self.weight, self.padding, self.stride, 1, 1)?
            .broadcast_add(&self.bias)
    }
}

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
    conv1: Conv,
    conv2: Conv,
    downsample: Option<Conv>,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let y = self.conv1.forward(x)?.relu()?;
        let y = self.conv2.forward(&y)?;
        let shortcut = match &self.downsample {
            Some(conv) => &conv.forward(x)?,
            None => x,
        };
        (y + shortcut)?.relu()
    }
}

/// ResNet-18, ready to run.
pub(crate) struct Network {
    stem: Conv,
    blocks: Vec<Block>,
    embedding: Linear,
    head: Linear,
}

impl Network {
    pub(crate) fn new(network: &model::ResNet18) -> Result<Self> {
        let block = |block: &model::Block| {
            Ok(Block {
                conv1: Conv::new(&block.conv1)?,
                conv2: Conv::new(&block.conv2)?,
                downsample: block.downsample.as_ref().map(Conv::new).transpose()?,
            })
        };
        Ok(Self {
            stem: Conv::new(&network.stem)?,
            blocks: network.blocks.iter().map(block).collect::<Result<_>>()?,
            embedding: Linear::new(&network.embedding)?,
            head: Linear::new(&network.head)?,
        })
    }

    /// `x`: f32 `[N, 3, H, W]`, normalised. Gives embeddings `[N, dim]` and softmax scores `[N, classes]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<(Tensor, Tensor)> {
        let y = self.stem.forward(x)?.relu()?;
        // After a ReLU nothing is below zero, so a border of zeros never wins the maximum.
        let y = y
            .pad_with_zeros(D::Minus1, 1, 1)?
            .pad_with_zeros(D::Minus2, 1, 1)?;
        let mut y = y.max_pool2d_with_stride(3, 2)?;
        for block in &self.blocks {
            y = block.forward(&y)?;
        }
        let pooled = y.mean(D::Minus1)?.mean(D::Minus1)?;
        let embeddings = self.embedding.forward(&pooled)?;
        let logits = self.head.forward(&embeddings.relu()?)?;
        Ok((embeddings, softmax(&logits, D::Minus1)?))
    }
}
