//! The network behind the trait.

use driftline_core::{
    BackendConfig, BackendInfo, EmbeddingBackend, ImageView, InferenceMut, Precision, Result,
};
use driftline_model::ModelPackage;

use crate::{ENGINE, Instructions, Network};

/// ResNet-18 on the CPU, in fp32 or with bf16 factors.
pub struct CandleBackend {
    info: BackendInfo,
    network: Network,
}

impl CandleBackend {
    /// Reads the model and compiles it for this processor, see [`Instructions::chosen`].
    pub fn open(config: &BackendConfig) -> Result<Self> {
        let precision = config.precision.unwrap_or(Precision::Fp32);
        Self::with_instructions(config, Instructions::chosen(precision)?)
    }

    /// Reads the model and compiles it for an instruction set.
    pub fn with_instructions(config: &BackendConfig, instructions: Instructions) -> Result<Self> {
        config.cpu_only("candle")?;
        let package = ModelPackage::open(&config.model)?;
        let (weights, classes) = package.network()?;
        let preprocessing = &package.preprocessing;
        let precision = config.precision.unwrap_or(Precision::Fp32);
        let threads = config.threads;
        let network = Network::new(&weights, preprocessing, threads, instructions, precision)?;
        let mut notes = Vec::new();
        if instructions == Instructions::Portable {
            notes.push(
                "without AVX2 or NEON it is several times slower than on a processor that has them"
                    .to_owned(),
            );
        }
        Ok(Self {
            info: BackendInfo {
                name: "candle".to_owned(),
                engine: ENGINE.to_owned(),
                device: config.device,
                precision,
                threads: network.threads(),
                input: preprocessing.shape,
                dim: network.dim(),
                classes,
                notes,
            },
            network,
        })
    }
}

impl EmbeddingBackend for CandleBackend {
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
