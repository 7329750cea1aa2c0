//! The network as one operation of candle.

use std::sync::{Mutex, MutexGuard, PoisonError};

use candle_core::{
    CpuStorage, CustomOp1, DType, Device, InplaceOp1, Layout, Result, Shape, Storage, Tensor, bail,
};
use driftline_core::{ImageView, InferenceMut};
use driftline_kernels::{Instructions, Network};

use crate::candle::{VERSION, failed};

/// Engine and versions.
pub(crate) fn engine(instructions: Instructions) -> String {
    format!("{VERSION} + {}", driftline_kernels::engine(instructions))
}

/// Embeds a u8 tensor `[N, H, W, 3]` into an f32 tensor `[N, dim]`.
///
/// ```no_run
/// # use candle_core::{DType, Device, Tensor};
/// # use driftline_backend_candle::{Embed, chosen, compile};
/// # use driftline_core::Precision;
/// # use driftline_model::ModelPackage;
/// let package = ModelPackage::open("model.toml".as_ref())?;
/// let (weights, _) = package.network()?;
/// let (instructions, fp32) = (chosen(Precision::Fp32)?, Precision::Fp32);
/// let network = compile(&weights, &package.preprocessing, 2, instructions, fp32)?;
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

    fn network(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CustomOp1 for Embed {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut network = self.network();
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

/// [`Embed`] of images that the caller keeps: a tensor of candle owns its values, so that one of the images would be a copy of
/// the batch. The results are written into an f32 tensor that is there: all embeddings, then all scores if they are wanted.
struct EmbedBorrowed<'a> {
    embed: &'a Embed,
    images: ImageView<'a>,
    with_scores: bool,
}

impl InplaceOp1 for EmbedBorrowed<'_> {
    fn name(&self) -> &'static str {
        "embed"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let mut network = self.embed.network();
        let (CpuStorage::F32(rows), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("expected a contiguous f32 tensor of rows");
        };
        let n = self.images.len();
        let (embeddings, scores) = (n * network.dim(), n * network.classes());
        let Some((embeddings, rest)) = rows[start..end].split_at_mut_checked(embeddings) else {
            bail!("a tensor with room for fewer than {n} embeddings");
        };
        let scores = match (self.with_scores, rest.get_mut(..scores)) {
            (false, _) => None,
            (true, Some(scores)) => Some(scores),
            (true, None) => bail!("a tensor with room for fewer than {n} rows of scores"),
        };
        network.embed(self.images.as_bytes(), embeddings, scores);
        Ok(())
    }
}

/// The operation, and the tensor that it writes.
pub(crate) struct Fused {
    embed: Embed,
    /// f32, with room for the largest batch so far.
    rows: Tensor,
}

impl Fused {
    pub(crate) fn new(network: Network) -> driftline_core::Result<Self> {
        let rows = Tensor::zeros(0, DType::F32, &Device::Cpu)
            .map_err(|cause| failed("open backend", cause))?;
        Ok(Self {
            embed: Embed::new(network),
            rows,
        })
    }

    /// Images and results are checked. For a batch that is no larger than one before, candle allocates the axes of a
    /// layout, and nothing else is allocated.
    pub(crate) fn embed(
        &mut self,
        images: ImageView<'_>,
        out: &mut InferenceMut<'_>,
    ) -> Result<()> {
        let scores = out.scores.as_deref_mut().unwrap_or_default();
        let values = out.embeddings.len() + scores.len();
        if self.rows.elem_count() < values {
            self.rows = Tensor::zeros(values, DType::F32, &Device::Cpu)?;
        }
        self.rows.inplace_op1(&EmbedBorrowed {
            embed: &self.embed,
            images,
            with_scores: !scores.is_empty(),
        })?;
        let (storage, _) = self.rows.storage_and_layout();
        let Storage::Cpu(CpuStorage::F32(rows)) = &*storage else {
            bail!("expected an f32 tensor on the CPU");
        };
        let (embeddings, rest) = rows.split_at(out.embeddings.len());
        out.embeddings.copy_from_slice(embeddings);
        scores.copy_from_slice(&rest[..scores.len()]);
        Ok(())
    }
}
