//! Batches, threads and buffers around the network.

use candle_core::{Device, Tensor};
use driftline_core::{
    BackendConfig, BackendInfo, EmbeddingBackend, Error, ErrorKind, ImageShape, ImageView,
    InferenceMut, Precision, Result,
};
use driftline_model::ModelPackage;
use rayon::prelude::*;

use crate::ENGINE;
use crate::network::Network;

/// Most images that one thread takes at a time: large enough for efficient products, small enough to stay near the
/// caches.
const MAX_CHUNK: usize = 32;

/// Images that one thread takes at a time, of a batch of `n`: a small batch is halved, so that it is work for two
/// threads. The number of threads has no say, so that it does not change the result.
fn chunk(n: usize) -> usize {
    n.div_ceil(2).clamp(1, MAX_CHUNK)
}

/// ResNet-18 on candle, on the CPU, in fp32.
pub struct CandleBackend {
    info: BackendInfo,
    network: Network,
    /// `pixel / 255` normalised, for each channel and pixel value.
    normalised: [[f32; 256]; 3],
    pool: rayon::ThreadPool,
}

impl CandleBackend {
    /// Reads the model and starts the threads.
    pub fn open(config: &BackendConfig) -> Result<Self> {
        config.cpu_only("candle")?;
        let package = ModelPackage::open(&config.model)?;
        let (weights, classes) = package.network()?;
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads.max(1))
            .thread_name(|i| format!("candle-{i}"))
            .build()
            .map_err(|cause| {
                Error::new(
                    ErrorKind::Resource,
                    "open backend",
                    "the threads could not be started",
                )
                .because(cause)
            })?;
        Ok(Self {
            info: BackendInfo {
                name: "candle".to_owned(),
                engine: ENGINE.to_owned(),
                device: config.device,
                precision: Precision::Fp32,
                threads: pool.current_num_threads(),
                input: package.preprocessing.shape,
                dim: weights.dim(),
                classes,
            },
            network: Network::new(&weights).map_err(engine_failed)?,
            normalised: package.preprocessing.normalisation(),
            pool,
        })
    }

    /// u8 `[N, H, W, 3]` to normalised f32 of the same shape.
    fn input(&self, images: &[u8]) -> candle_core::Result<Tensor> {
        let ImageShape { height, width } = self.info.input;
        let [red, green, blue] = &self.normalised;
        let values: Vec<f32> = images
            .as_chunks()
            .0
            .iter()
            .flat_map(|&[r, g, b]| [red[r as usize], green[g as usize], blue[b as usize]])
            .collect();
        let n = images.len() / self.info.input.bytes();
        Tensor::from_vec(values, (n, height, width, 3), &Device::Cpu)
    }

    fn run(
        &self,
        images: &[u8],
        embeddings: &mut [f32],
        scores: Option<&mut [f32]>,
    ) -> candle_core::Result<()> {
        let (e, s) = self.network.forward(&self.input(images)?)?;
        embeddings.copy_from_slice(&e.flatten_all()?.to_vec1::<f32>()?);
        if let Some(scores) = scores {
            scores.copy_from_slice(&s.flatten_all()?.to_vec1::<f32>()?);
        }
        Ok(())
    }
}

impl EmbeddingBackend for CandleBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        out.check(&self.info, images)?;
        let chunk = chunk(images.len());
        let bytes = chunk * self.info.input.bytes();
        let (dim, classes) = (self.info.dim, self.info.classes.len());
        let chunks = images
            .as_bytes()
            .par_chunks(bytes)
            .zip(out.embeddings.par_chunks_mut(chunk * dim));
        self.pool
            .install(|| match &mut out.scores {
                Some(scores) => chunks
                    .zip(scores.par_chunks_mut(chunk * classes))
                    .try_for_each(|((images, embeddings), scores)| {
                        self.run(images, embeddings, Some(scores))
                    }),
                None => {
                    chunks.try_for_each(|(images, embeddings)| self.run(images, embeddings, None))
                }
            })
            .map_err(engine_failed)
    }
}

fn engine_failed(cause: candle_core::Error) -> Error {
    Error::new(ErrorKind::Internal, "embed", "candle failed").because(cause)
}
