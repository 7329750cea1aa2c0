//! The network as tensors on a device.

use driftline_model as model;
use tch::{Device, Kind, TchError, Tensor};

struct Convolution {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Convolution {
    fn new(conv: &model::Conv, device: Device) -> Result<Self, TchError> {
        let (out, input, kernel) = (
            conv.out_channels as i64,
            conv.in_channels as i64,
            conv.kernel as i64,
        );
        Ok(Self {
            weight: Tensor::f_from_slice(&conv.weight)?
                .f_view([out, input, kernel, kernel])?
                .f_to_device(device)?,
            bias: Tensor::f_from_slice(&conv.bias)?.f_to_device(device)?,
            stride: conv.stride as i64,
            padding: conv.padding as i64,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        convolution(x, &self.weight, Some(&self.bias), self.stride, self.padding)
    }
}

/// A convolution in which no product is rounded to TF32: the permission is an argument here, not the process's state.
pub(crate) fn convolution(
    x: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    stride: i64,
    padding: i64,
) -> Result<Tensor, TchError> {
    let (transposed, groups) = (false, 1);
    // Algorithms are not tried out: the same shape would not always get the same one.
    let (benchmark, deterministic, cudnn, allow_tf32) = (false, true, true, false);
    x.f_internal_convolution(
        weight,
        bias,
        [stride, stride],
        [padding, padding],
        [1, 1],
        transposed,
        [0, 0],
        groups,
        benchmark,
        deterministic,
        cudnn,
        allow_tf32,
    )
}

struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    fn new(linear: &model::Linear, device: Device) -> Result<Self, TchError> {
        Ok(Self {
            weight: Tensor::f_from_slice(&linear.weight)?
                .f_view([linear.outputs as i64, linear.inputs as i64])?
                .f_to_device(device)?,
            bias: Tensor::f_from_slice(&linear.bias)?.f_to_device(device)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(&self.weight, Some(&self.bias))
    }
}

struct Block {
    conv1: Convolution,
    conv2: Convolution,
    downsample: Option<Convolution>,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let mut y = self.conv1.forward(x)?;
        let y = self.conv2.forward(&y.f_relu_()?)?;
        let shortcut = match &self.downsample {
            Some(conv) => conv.forward(x)?,
            None => x.shallow_clone(),
        };
        (y + shortcut).f_relu_()
    }
}

/// ResNet-18 on a device.
pub struct Network {
    device: Device,
    /// f32 `[3, 256]`: `pixel / 255` normalised, for each channel and pixel value.
    normalised: Tensor,
    /// i64 `[3, 1, 1]`: where each channel begins in `normalised`.
    channel: Tensor,
    stem: Convolution,
    blocks: Vec<Block>,
    embedding: Linear,
    head: Linear,
}

impl Network {
    /// Brings the weights to `device`.
    pub fn new(
        network: &model::ResNet18,
        normalised: &[[f32; 256]; 3],
        device: Device,
    ) -> Result<Self, TchError> {
        let block = |block: &model::Block| {
            Ok(Block {
                conv1: Convolution::new(&block.conv1, device)?,
                conv2: Convolution::new(&block.conv2, device)?,
                downsample: match &block.downsample {
                    Some(conv) => Some(Convolution::new(conv, device)?),
                    None => None,
                },
            })
        };
        Ok(Self {
            device,
            normalised: Tensor::f_from_slice(normalised.as_flattened())?.f_to_device(device)?,
            channel: Tensor::f_from_slice(&[0_i64, 256, 512])?
                .f_view([3, 1, 1])?
                .f_to_device(device)?,
            stem: Convolution::new(&network.stem, device)?,
            blocks: network
                .blocks
                .iter()
                .map(block)
                .collect::<Result<_, TchError>>()?,
            embedding: Linear::new(&network.embedding, device)?,
            head: Linear::new(&network.head, device)?,
        })
    }

    /// u8 `[N, H, W, 3]` in CPU memory to embeddings f32 `[N, dim]` and softmax scores f32 `[N, classes]` there.
    pub fn forward(&self, images: &[u8], shape: [i64; 4]) -> Result<(Tensor, Tensor), TchError> {
        tch::no_grad(|| {
            let pixels = Tensor::f_from_slice(images)?
                .f_view(shape)?
                .f_to_device(self.device)?
                .f_permute([0, 3, 1, 2])?
                .f_to_kind(Kind::Int64)?;
            let x = self.normalised.f_take(&(pixels + &self.channel))?;
            let mut x = self.stem.forward(&x)?.f_relu_()?;
            x = x.f_max_pool2d([3, 3], [2, 2], [1, 1], [1, 1], false)?;
            for block in &self.blocks {
                x = block.forward(&x)?;
            }
            let pooled = x.f_mean_dim([2_i64, 3].as_slice(), false, Kind::Float)?;
            let embeddings = self.embedding.forward(&pooled)?;
            let logits = self.head.forward(&embeddings.f_relu()?)?;
            let scores = logits.f_softmax(-1, Kind::Float)?;
            Ok((
                embeddings.f_to_device(Device::Cpu)?,
                scores.f_to_device(Device::Cpu)?,
            ))
        })
    }
}
