//! Batches and buffers around the network.

use driftline_model::ModelPackage;
use driftline_plugin_sdk::EmbeddingPlugin;
use driftline_plugin_sdk::core::{
    BackendConfig, BackendInfo, Device, EmbeddingBackend, Error, ErrorKind, ImageView,
    InferenceMut, Precision, Result,
};
use tch::TchError;

use crate::cuda;
use crate::halving::{Failure, Halving};
use crate::network::Network;

/// Version of libtorch that this is built for.
const ENGINE: &str = "libtorch 2.11";

/// ResNet-18 on libtorch, in fp32.
pub struct TchBackend {
    info: BackendInfo,
    network: Network,
    halving: Halving,
}

impl EmbeddingPlugin for TchBackend {
    const NAME: &'static str = "tch";
    const SUMMARY: &'static str = "libtorch on the CPU and CUDA";
    const ENGINE: &'static str = ENGINE;
    const DEVICES: &'static [&'static str] = &["cpu", "cuda"];

    fn open(config: &BackendConfig) -> Result<Self> {
        let device = match config.device {
            Device::Cpu => tch::Device::Cpu,
            Device::Cuda(index) => cuda::device(index, config.runtime.as_deref())?,
        };
        let package = ModelPackage::open(&config.model)?;
        let (weights, classes) = package.network()?;
        let normalised = package.preprocessing.normalisation();
        Ok(Self {
            info: BackendInfo {
                name: Self::NAME.to_owned(),
                engine: ENGINE.to_owned(),
                device: config.device,
                precision: Precision::Fp32,
                threads: config.threads,
                input: package.preprocessing.shape,
                dim: weights.dim(),
                classes,
            },
            network: Network::new(&weights, &normalised, device).map_err(engine_failed)?,
            halving: Halving::default(),
        })
    }
}

impl EmbeddingBackend for TchBackend {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        out.check(&self.info, images)?;
        // The number of threads is the process's and, with OpenMP, the calling thread's.
        tch::set_num_threads(self.info.threads as i32);
        let shape = self.info.input;
        let (bytes, dim, classes) = (shape.bytes(), self.info.dim, self.info.classes.len());
        let network = &self.network;
        self.halving
            .run(images.len(), |rows| {
                let mut run = || {
                    let size = [
                        rows.len() as i64,
                        shape.height as i64,
                        shape.width as i64,
                        3,
                    ];
                    let images = &images.as_bytes()[rows.start * bytes..rows.end * bytes];
                    let (embeddings, scores) = network.forward(images, size)?;
                    copy(
                        &embeddings,
                        &mut out.embeddings[rows.start * dim..rows.end * dim],
                    )?;
                    match &mut out.scores {
                        Some(out) => {
                            copy(&scores, &mut out[rows.start * classes..rows.end * classes])
                        }
                        None => Ok(()),
                    }
                };
                run().map_err(|error: TchError| match cuda::is_out_of_memory(&error) {
                    true => Failure::OutOfMemory(error),
                    false => Failure::Other(error),
                })
            })
            .map_err(engine_failed)
    }
}

fn copy(tensor: &tch::Tensor, out: &mut [f32]) -> std::result::Result<(), TchError> {
    tensor.f_copy_data(out, out.len())
}

fn engine_failed(cause: TchError) -> Error {
    if cuda::is_out_of_memory(&cause) {
        return Error::new(
            ErrorKind::Resource,
            "embed",
            "the device has no memory for one image",
        )
        .because(cause)
        .remedy("free memory on the device, or use `--device cpu`");
    }
    Error::new(ErrorKind::Internal, "embed", "libtorch failed").because(cause)
}
