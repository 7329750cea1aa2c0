//! The network in candle's own operations, layer by layer.

use candle_core::{CpuStorage, DType, Device, Module, Result, Storage, Tensor, bail};
use candle_nn::{Conv2d, Conv2dConfig, Linear, ops};
use driftline_core::{Error, ErrorKind, ImageView, InferenceMut};
use driftline_model as model;
use driftline_model::{Preprocessing, ResNet18};
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::candle::failed;

/// ResNet-18 as layers of candle, batch norm folded into the convolutions.
///
/// candle divides its work by rayon; a pool of its own holds it to its number of threads.
pub(crate) struct Layers {
    pool: ThreadPool,
    network: Network,
}

struct Network {
    /// `255 mean` and `255 std` of each channel.
    centre: Tensor,
    spread: Tensor,
    stem: Conv2d,
    blocks: Vec<Block>,
    embedding: Linear,
    head: Linear,
}

struct Block {
    conv1: Conv2d,
    conv2: Conv2d,
    downsample: Option<Conv2d>,
}

impl Layers {
    pub(crate) fn new(
        network: &ResNet18,
        preprocessing: &Preprocessing,
        threads: usize,
    ) -> driftline_core::Result<Self> {
        let pool = ThreadPoolBuilder::new()
            .num_threads(threads.max(1))
            .thread_name(|worker| format!("candle-{worker}"))
            .build()
            .map_err(|cause| {
                Error::new(
                    ErrorKind::Resource,
                    "open backend",
                    "the threads could not be started",
                )
                .because(cause)
            })?;
        let network =
            Network::new(network, preprocessing).map_err(|cause| failed("open backend", cause))?;
        Ok(Self { pool, network })
    }

    /// Images and results are checked, and there is an image at least.
    pub(crate) fn embed(&self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        let shape = (images.len(), images.shape().height, images.shape().width, 3);
        let (embeddings, scores) = self.pool.install(|| {
            let images = Tensor::from_slice(images.as_bytes(), shape, &Device::Cpu)?;
            self.network.forward(&images)
        })?;
        copy(&embeddings, out.embeddings)?;
        match &mut out.scores {
            Some(out) => copy(&scores, out),
            None => Ok(()),
        }
    }
}

impl Network {
    fn new(network: &ResNet18, preprocessing: &Preprocessing) -> Result<Self> {
        let channels = |values: [f32; 3]| Tensor::new(&values.map(|v| v * 255.0), &Device::Cpu);
        Ok(Self {
            centre: channels(preprocessing.mean)?,
            spread: channels(preprocessing.std)?,
            stem: conv(&network.stem)?,
            blocks: network
                .blocks
                .iter()
                .map(Block::new)
                .collect::<Result<_>>()?,
            embedding: linear(&network.embedding)?,
            head: linear(&network.head)?,
        })
    }

    /// u8 `[N, H, W, 3]` to embeddings `[N, dim]` and scores `[N, classes]`.
    fn forward(&self, images: &Tensor) -> Result<(Tensor, Tensor)> {
        let pixels = images
            .to_dtype(DType::F32)?
            .broadcast_sub(&self.centre)?
            .broadcast_div(&self.spread)?
            .permute((0, 3, 1, 2))?;
        // Zeros around are as good as no values there: no value behind a ReLU is less.
        let mut plane = self
            .stem
            .forward(&pixels)?
            .relu()?
            .pad_with_zeros(2, 1, 1)?
            .pad_with_zeros(3, 1, 1)?
            .max_pool2d_with_stride(3, 2)?;
        for block in &self.blocks {
            plane = block.forward(&plane)?;
        }
        let embeddings = self.embedding.forward(&plane.mean((2, 3))?)?;
        let logits = self.head.forward(&embeddings.relu()?)?;
        Ok((embeddings, ops::softmax(&logits, 1)?))
    }
}

impl Block {
    fn new(block: &model::Block) -> Result<Self> {
        Ok(Self {
            conv1: conv(&block.conv1)?,
            conv2: conv(&block.conv2)?,
            downsample: block.downsample.as_ref().map(conv).transpose()?,
        })
    }

    fn forward(&self, plane: &Tensor) -> Result<Tensor> {
        let inside = self.conv2.forward(&self.conv1.forward(plane)?.relu()?)?;
        let shortcut = match &self.downsample {
            Some(downsample) => &downsample.forward(plane)?,
            None => plane,
        };
        (inside + shortcut)?.relu()
    }
}

fn conv(conv: &model::Conv) -> Result<Conv2d> {
    let shape = (
        conv.out_channels,
        conv.in_channels,
        conv.kernel,
        conv.kernel,
    );
    let config = Conv2dConfig {
        padding: conv.padding,
        stride: conv.stride,
        ..Conv2dConfig::default()
    };
    let weight = Tensor::from_slice(&conv.weight, shape, &Device::Cpu)?;
    let bias = Tensor::from_slice(&conv.bias, conv.out_channels, &Device::Cpu)?;
    Ok(Conv2d::new(weight, Some(bias), config))
}

fn linear(linear: &model::Linear) -> Result<Linear> {
    let shape = (linear.outputs, linear.inputs);
    let weight = Tensor::from_slice(&linear.weight, shape, &Device::Cpu)?;
    let bias = Tensor::from_slice(&linear.bias, linear.outputs, &Device::Cpu)?;
    Ok(Linear::new(weight, Some(bias)))
}

/// Copies the values of a tensor.
fn copy(from: &Tensor, to: &mut [f32]) -> Result<()> {
    let (storage, layout) = from.storage_and_layout();
    let (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) =
        (&*storage, layout.contiguous_offsets())
    else {
        bail!("expected a contiguous f32 tensor on the CPU");
    };
    to.copy_from_slice(&values[start..end]);
    Ok(())
}
