//! The network as an operation of candle, for a graph of one's own.

use std::sync::{Mutex, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, bail};

use crate::Network;

/// Embeds a u8 tensor `[N, H, W, 3]` into an f32 tensor `[N, dim]`.
///
/// ```no_run
/// # use candle_core::{DType, Device, Tensor};
/// # use driftline_backend_candle::{Embed, Instructions, Network};
/// # use driftline_core::Precision;
/// # use driftline_model::ModelPackage;
/// let package = ModelPackage::open("model.toml".as_ref())?;
/// let (weights, _) = package.network()?;
/// let (instructions, fp32) = (Instructions::chosen(Precision::Fp32)?, Precision::Fp32);
/// let network = Network::new(&weights, &package.preprocessing, 2, instructions, fp32)?;
/// let images = Tensor::zeros((8, 32, 32, 3), DType::U8, &Device::Cpu)?;
/// let embeddings = images.apply_op1_no_bwd(&Embed::new(network))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Embed(Mutex<Network>);

impl Embed {
    /// The operation of a network; calls from several threads wait for each other.
    pub fn new(network: Network) -> Self {
        Self(Mutex::new(network))
    }
}

impl CustomOp1 for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut network = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (n, height, width, channels) = layout.shape().dims4()?;
        let shape = network.shape();
        if (height, width, channels) != (shape.height, shape.width, 3) {
            bail!("images of {height} x {width} x {channels} where {shape} x 3 belong");
        }
        let (CpuStorage::U8(images), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("expected a contiguous u8 tensor of images");
        };
        let mut embeddings = vec![0.0; n * network.dim()];
        network.embed(&images[start..end], &mut embeddings, None);
        let shape = (n, network.dim());
        Ok((CpuStorage::F32(embeddings), shape.into()))
    }
}
