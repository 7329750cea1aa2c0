//! The network as tensors on a device.

use driftline_model as model;
use tch::{Device, Kind, TchError, Tensor};

/// Where tensors are, and the kind of their numbers.
#[derive(Clone, Copy)]
pub struct Place {
    /// Where the network computes.
    pub device: Device,
    /// `Float`, or `BFloat16` for factors of 8 bits, whose products are summed in f32.
    pub kind: Kind,
}

impl Place {
    fn bring(self, tensor: &Tensor) -> Result<Tensor, TchError> {
        tensor.f_to_device(self.device)?.f_to_kind(self.kind)
    }
}

struct Convolution {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Convolution {
    fn new(conv: &model::Conv, place: Place) -> Result<Self, TchError> {
        let (out, input, kernel) = (
            conv.out_channels as i64,
            conv.in_channels as i64,
            conv.kernel as i64,
        );
        Ok(Self {
            weight: place.bring(
                &Tensor::f_from_slice(&conv.weight)?.f_view([out, input, kernel, kernel])?,
            )?,
            bias: place.bring(&Tensor::f_from_slice(&conv.bias)?)?,
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
    fn new(linear: &model::Linear, place: Place) -> Result<Self, TchError> {
        Ok(Self {
            weight: place.bring(
                &Tensor::f_from_slice(&linear.weight)?
                    .f_view([linear.outputs as i64, linear.inputs as i64])?,
            )?,
            bias: place.bring(&Tensor::f_from_slice(&linear.bias)?)?,
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
    /// `[3, 256]`: `pixel / 255` normalised, for each channel and pixel value.
    normalised: Tensor,
    /// i64 `[3, 1, 1]`: where each channel begins in `normalised`.
    channel: Tensor,
    stem: Convolution,
    blocks: Vec<Block>,
    embedding: Linear,
    head: Linear,
}

impl Network {
    /// Brings the weights to `place`.
    pub fn new(
        network: &model::ResNet18,
        normalised: &[[f32; 256]; 3],
        place: Place,
    ) -> Result<Self, TchError> {
        let device = place.device;
        let block = |block: &model::Block| {
            Ok(Block {
                conv1: Convolution::new(&block.conv1, place)?,
                conv2: Convolution::new(&block.conv2, place)?,
                downsample: match &block.downsample {
                    Some(conv) => Some(Convolution::new(conv, place)?),
                    None => None,
                },
            })
        };
        Ok(Self {
            device,
            normalised: place.bring(&Tensor::f_from_slice(normalised.as_flattened())?)?,
            channel: Tensor::f_from_slice(&[0_i64, 256, 512])?
                .f_view([3, 1, 1])?
                .f_to_device(device)?,
            stem: Convolution::new(&network.stem, place)?,
            blocks: network
                .blocks
                .iter()
                .map(block)
                .collect::<Result<_, TchError>>()?,
            embedding: Linear::new(&network.embedding, place)?,
            head: Linear::new(&network.head, place)?,
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
            let pooled = x
                .f_mean_dim([2_i64, 3].as_slice(), false, Kind::Float)?
                .f_to_kind(self.embedding.weight.kind())?;
            let embeddings = self.embedding.forward(&pooled)?;
            let logits = self.head.forward(&embeddings.f_relu()?)?;
            let scores = logits.f_softmax(-1, Kind::Float)?;
            Ok((
                embeddings
                    .f_to_kind(Kind::Float)?
                    .f_to_device(Device::Cpu)?,
                scores.f_to_device(Device::Cpu)?,
            ))
        })
    }
}
