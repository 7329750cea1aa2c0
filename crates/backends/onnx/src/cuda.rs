//! The CUDA provider of ONNX Runtime.

use driftline_core::{Device, Error, ErrorKind};
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{CUDA, ExecutionProviderDispatch};

/// ONNX Runtime's name of the provider.
pub(crate) const PROVIDER: &str = "CUDAExecutionProvider";

/// The provider for the device `index`, in fp32: TF32 rounds the inputs of products to 10 bits and is off.
pub(crate) fn provider(index: usize) -> ExecutionProviderDispatch {
    CUDA::default()
        .with_device_id(i32::try_from(index).unwrap_or(i32::MAX))
        .with_tf32(false)
        // The default tries every algorithm at each new batch size: slow to start, and not the same from run to run.
        .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
        .build()
        .error_on_failure()
}

/// `device` cannot be used, and what to do.
pub(crate) fn refuse(device: Device, reason: String) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        "open backend",
        format!("the onnx backend cannot compute on {device}: {reason}"),
    )
    .remedy(
        "name a GPU build of ONNX Runtime with `backend.runtime` or ORT_DYLIB_PATH on a machine with this device, or use \
         `backend.device=cpu`",
    )
}
