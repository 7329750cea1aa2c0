//! What a network is made of: shapes, and weights that are borrowed from who read them.

use driftline_core::{Error, ErrorKind, ImageShape, Result};

/// A convolution with the batch norm that follows it folded in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv<'a> {
    /// f32 `[out, in, kernel, kernel]`, row-major.
    pub weight: &'a [f32],
    /// f32 `[out]`.
    pub bias: &'a [f32],
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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Linear<'a> {
    /// f32 `[out, in]`, row-major.
    pub weight: &'a [f32],
    /// f32 `[out]`.
    pub bias: &'a [f32],
    /// Length of the output.
    pub outputs: usize,
    /// Length of the input.
    pub inputs: usize,
}

/// A basic block: `relu(conv2(relu(conv1(x))) + shortcut(x))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Block<'a> {
    /// First convolution, which carries the stride.
    pub conv1: Conv<'a>,
    /// Second convolution.
    pub conv2: Conv<'a>,
    /// The shortcut where shape changes; the identity elsewhere.
    pub downsample: Option<Conv<'a>>,
}

/// The network: stem, ReLU, max pool 3x3 with stride 2 and padding 1, blocks, mean over the plane, a linear layer (the
/// embedding), ReLU, a linear layer, softmax.
#[derive(Debug, Clone, PartialEq)]
pub struct ResNet18<'a> {
    /// The convolution of the pixels.
    pub stem: Conv<'a>,
    /// The blocks in order.
    pub blocks: Vec<Block<'a>>,
    /// Its output is the embedding.
    pub embedding: Linear<'a>,
    /// Its output is a logit for each class.
    pub head: Linear<'a>,
}

/// The images that a network takes.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Height and width.
    pub shape: ImageShape,
    /// What becomes of a pixel, for each channel and pixel value.
    pub normalised: [[f32; 256]; 3],
}

impl<'a> Linear<'a> {
    /// The layer as a convolution of planes of one position.
    pub(crate) fn as_conv(&self) -> Conv<'a> {
        Conv {
            weight: self.weight,
            bias: self.bias,
            out_channels: self.outputs,
            in_channels: self.inputs,
            kernel: 1,
            stride: 1,
            padding: 0,
        }
    }
}

impl<'a> ResNet18<'a> {
    /// Length of an embedding.
    pub fn dim(&self) -> usize {
        self.embedding.outputs
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.head.outputs
    }

    /// Refuses weights of another length than their shape has, and layers that do not fit to those before them; the inner
    /// loops trust both.
    pub(crate) fn check(&self) -> Result<()> {
        if self.blocks.is_empty() {
            return Err(misfit("a network without blocks".to_owned()));
        }
        let mut channels = 3;
        accept(self.stem, &mut channels)?;
        for block in &self.blocks {
            let mut shortcut = channels;
            accept(block.conv1, &mut channels)?;
            accept(block.conv2, &mut channels)?;
            if let Some(downsample) = block.downsample {
                accept(downsample, &mut shortcut)?;
            }
        }
        accept(self.embedding.as_conv(), &mut channels)?;
        accept(self.head.as_conv(), &mut channels)
    }
}

/// Takes a convolution of so many channels, and says how many it makes.
fn accept(conv: Conv<'_>, channels: &mut usize) -> Result<()> {
    let taps = conv.kernel * conv.kernel * conv.in_channels;
    let fits = taps > 0
        && conv.stride > 0
        && conv.out_channels > 0
        && conv.in_channels == *channels
        && conv.bias.len() == conv.out_channels
        && conv.weight.len() == conv.out_channels * taps;
    if !fits {
        return Err(misfit(format!(
            "{} weights and {} biases are not those of a {}x{} convolution of {channels} channels to {}",
            conv.weight.len(),
            conv.bias.len(),
            conv.kernel,
            conv.kernel,
            conv.out_channels
        )));
    }
    *channels = conv.out_channels;
    Ok(())
}

/// An error about layers that do not belong together.
pub(crate) fn misfit(message: String) -> Error {
    Error::new(ErrorKind::InvalidData, "compile network", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        let values = [0.0; 64 * 9];
        let conv = |[out_channels, in_channels, kernel]: [usize; 3]| Conv {
            weight: &values[..out_channels * in_channels * kernel * kernel],
            bias: &values[..out_channels],
            out_channels,
            in_channels,
            kernel,
            stride: 1,
            padding: kernel / 2,
        };
        let linear = |outputs: usize, inputs: usize| Linear {
            weight: &values[..outputs * inputs],
            bias: &values[..outputs],
            outputs,
            inputs,
        };
        let network = ResNet18 {
            stem: conv([4, 3, 3]),
            blocks: vec![Block {
                conv1: conv([8, 4, 3]),
                conv2: conv([8, 8, 3]),
                downsample: Some(conv([8, 4, 1])),
            }],
            embedding: linear(5, 8),
            head: linear(2, 5),
        };
        assert!(network.check().is_ok());
        for spoil in [
            |network: &mut ResNet18<'_>| network.stem.in_channels = 4,
            |network: &mut ResNet18<'_>| network.stem.weight = &network.stem.weight[1..],
            |network: &mut ResNet18<'_>| network.blocks[0].conv2.bias = &[],
            |network: &mut ResNet18<'_>| network.blocks[0].conv1.stride = 0,
            |network: &mut ResNet18<'_>| network.head.inputs = 6,
            |network: &mut ResNet18<'_>| network.blocks.clear(),
        ] {
            let mut spoilt = network.clone();
            spoil(&mut spoilt);
            let error = spoilt.check().expect_err("it does not fit");
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
    }
}
