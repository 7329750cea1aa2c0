//! Batches and buffers around the network.

use driftline_model::ModelPackage;
use driftline_plugin_sdk::core::{
    BackendConfig, BackendInfo, Device, EmbeddingBackend, Error, ErrorKind, ImageView,
    InferenceMut, Parts, Precision, Result,
};
use driftline_plugin_sdk::{EmbeddingPlugin, log};
use tch::TchError;

use crate::cuda;
use crate::network::{Network, Place};

/// Version of libtorch that this is built for.
const ENGINE: &str = "libtorch 2.11";

/// ResNet-18 on libtorch, in fp32, or with CUDA in bf16.
pub struct TchBackend {
    info: BackendInfo,
    network: Network,
    parts: Parts,
}

impl EmbeddingPlugin for TchBackend {
    const NAME: &'static str = "tch";
    const SUMMARY: &'static str = "libtorch on the CPU and CUDA";
    const ENGINE: &'static str = ENGINE;
    const DEVICES: &'static [&'static str] = &["cpu", "cuda"];
    const PRECISIONS: &'static [&'static str] = &["fp32", "bf16"];

    fn open(config: &BackendConfig) -> Result<Self> {
        let precision = config.precision.unwrap_or(Precision::Fp32);
        let kind = match (precision, config.device) {
            // On the CPU its convolutions in bf16 do not give the same numbers twice.
            (Precision::Bf16, Device::Cuda(_)) => tch::Kind::BFloat16,
            _ => {
                config.fp32_only(Self::NAME)?;
                tch::Kind::Float
            }
        };
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
                engine: match config.device {
                    Device::Cpu => ENGINE.to_owned(),
                    Device::Cuda(_) => format!("{ENGINE} (CUDA, TF32 off)"),
                },
                device: config.device,
                precision,
                threads: config.threads,
                input: package.preprocessing.shape,
                dim: weights.dim(),
                classes,
                notes: Vec::new(),
            },
            network: Network::new(&weights, &normalised, Place { device, kind })
                .map_err(engine_failed)?,
            parts: Parts::new(None),
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
        let (network, device) = (&self.network, self.info.device);
        self.parts.run(
            images.len(),
            |rows| {
                let size = [
                    rows.len() as i64,
                    shape.height as i64,
                    shape.width as i64,
                    3,
                ];
                let images = &images.as_bytes()[rows.start * bytes..rows.end * bytes];
                let (embeddings, scores) = network.forward(images, size).map_err(engine_failed)?;
                let out_rows = &mut out.embeddings[rows.start * dim..rows.end * dim];
                copy(&embeddings, out_rows).map_err(engine_failed)?;
                match &mut out.scores {
                    Some(out) => copy(&scores, &mut out[rows.start * classes..rows.end * classes])
                        .map_err(engine_failed),
                    None => Ok(()),
                }
            },
            |size| {
                log::warn!(
                    "a batch of {size} does not fit into the memory of {device}: going on with smaller ones"
                );
            },
        )
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
            "the device has not enough memory",
        )
        .because(cause)
        .remedy("free memory on the device, or use `backend.device=cpu`");
    }
    Error::new(ErrorKind::Internal, "embed", "libtorch failed").because(cause)
}
