//! The network behind the trait, without candle.

use driftline_core::{
    BackendConfig, BackendInfo, EmbeddingBackend, ImageView, InferenceMut, Result,
};
use driftline_kernels::{Instructions, Network, engine};

use crate::chosen::chosen;
use crate::opened::{Opened, notes, precision};

pub(crate) const NAME: &str = "kernels";

/// ResNet-18 on the CPU by driftline's kernels alone, in fp32 or with bf16 factors.
///
/// After the first call nothing is allocated.
pub struct KernelsBackend {
    info: BackendInfo,
    network: Network,
}

impl KernelsBackend {
    /// Reads the model and compiles it for this processor, see [`chosen`].
    pub fn open(config: &BackendConfig) -> Result<Self> {
        Self::with_instructions(config, chosen(precision(config))?)
    }

    /// Reads the model and compiles it for an instruction set.
    pub fn with_instructions(config: &BackendConfig, instructions: Instructions) -> Result<Self> {
        config.no_options(NAME)?;
        let opened = Opened::new(NAME, config)?;
        let network = opened.compile(instructions)?;
        Ok(Self {
            info: opened.info(NAME, engine(instructions), notes(instructions)),
            network,
        })
    }
}

impl EmbeddingBackend for KernelsBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        out.check(&self.info, images)?;
        let scores = out.scores.as_deref_mut();
        self.network
            .embed(images.as_bytes(), out.embeddings, scores);
        Ok(())
    }
}
