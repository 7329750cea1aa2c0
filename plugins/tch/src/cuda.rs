//! The CUDA part of libtorch: opened when it is asked for, and made to prove that it computes in fp32.

use std::path::Path;

use driftline_plugin_sdk::core::{Error, ErrorKind, Result};
use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
use tch::{Device, Kind, TchError, Tensor};

use crate::network::convolution;

const OPERATION: &str = "open CUDA device";
const REMEDY: &str = "use `backend.device=cpu`, or name a libtorch or PyTorch 2.11 with CUDA by LIBTORCH or `backend.runtime`";

fn refuse(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unsupported, OPERATION, message)
}

/// The CUDA device `index`, with the CUDA part of the libtorch in the folder `runtime`.
///
/// # Errors
/// `Unsupported` where libtorch has no CUDA part, it does not load, or there is no such device.
pub fn device(index: usize, runtime: Option<&Path>) -> Result<Device> {
    let runtime =
        runtime.ok_or_else(|| refuse("the folder of libtorch is not known").remedy(REMEDY))?;
    let path = runtime.join("lib/libtorch_cuda.so");
    if !path.exists() {
        return Err(
            refuse("this libtorch has no CUDA part (lib/libtorch_cuda.so)")
                .with("runtime", runtime.display())
                .remedy(REMEDY),
        );
    }
    // SAFETY: a part of the libtorch that is in use; it registers itself as it loads.
    let library =
        unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_GLOBAL) }.map_err(|cause| {
            // What the loader says is behind the error's own text.
            let cause = std::error::Error::source(&cause)
                .map_or_else(|| cause.to_string(), ToString::to_string);
            refuse("the CUDA part of libtorch does not load")
                .with("file", path.display())
                .because(cause)
                .remedy(REMEDY)
        })?;
    // What registered itself must stay.
    std::mem::forget(library);
    let count = tch::Cuda::device_count();
    if !tch::Cuda::is_available() || count < 1 {
        return Err(refuse("CUDA finds no device")
            .remedy("check the driver with `nvidia-smi`, or use `backend.device=cpu`"));
    }
    if index as i64 >= count {
        return Err(refuse(format!(
            "there is no CUDA device {index}; there are {count}"
        ))
        .remedy("count from 0, as in `backend.device=cuda:0`"));
    }
    let device = Device::Cuda(index);
    let failed = |cause: TchError| refuse("the CUDA device does not compute").because(cause);
    if !is_fp32(device).map_err(failed)? {
        return Err(
            refuse("products on this device are rounded to TF32, which is not fp32")
                .remedy("unset NVIDIA_TF32_OVERRIDE and TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"),
        );
    }
    Ok(device)
}

/// Whether a matrix product and a convolution keep all 24 bits of their factors: 1 + 2^-12 loses its last bit in TF32,
/// which has 11.
pub fn is_fp32(device: Device) -> std::result::Result<bool, TchError> {
    let n = 256_i64;
    let factor = 1.0 + 2f64.powi(-12);
    let options = (Kind::Float, device);
    let matrix = Tensor::f_full([n, n], factor, options)?;
    let identity = Tensor::f_eye(n, options)?;
    let product = matrix.f_matmul(&identity)?;
    let image = Tensor::f_full([8, n, 8, 8], factor, options)?;
    let kernel = identity.f_view([n, n, 1, 1])?;
    let convolved = convolution(&image, &kernel, None, 1, 0)?;
    let exact = |tensor: Tensor| -> std::result::Result<bool, TchError> {
        let error = (tensor - factor).f_abs()?.f_max()?;
        Ok(f64::try_from(error)? == 0.0)
    };
    Ok(exact(product)? && exact(convolved)?)
}

/// Whether an error of libtorch says that the device has no memory left.
pub fn is_out_of_memory(error: &TchError) -> bool {
    let text = error.to_string();
    [
        "out of memory",
        "CUDNN_STATUS_ALLOC_FAILED",
        "CUBLAS_STATUS_ALLOC_FAILED",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_holds_on_the_cpu() {
        assert!(is_fp32(Device::Cpu).unwrap());
    }

    #[test]
    fn the_proof_sees_tf32() {
        // The factor as TF32 has it: 10 bits after the point.
        let factor = 1.0 + 2f32.powi(-12);
        let tf32 = f32::from_bits((factor.to_bits() + (1 << 12)) & !((1 << 13) - 1));
        assert_ne!(tf32, factor);
    }

    #[test]
    fn a_libtorch_without_cuda_is_refused() {
        let error = device(0, Some(Path::new("/nowhere")))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no CUDA part"), "{error}");
        assert!(error.contains("backend.device=cpu"), "{error}");
    }

    #[test]
    fn running_out_of_memory_is_recognised() {
        let torch = |text: &str| TchError::Torch(text.to_owned());
        assert!(is_out_of_memory(&torch(
            "CUDA out of memory. Tried to allocate 2.00 GiB."
        )));
        assert!(!is_out_of_memory(&torch(
            "CUDA error: device-side assert triggered"
        )));
    }
}
