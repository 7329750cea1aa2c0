//! The NVIDIA driver: a library of the machine, which may be missing, broken or hang.

use std::ffi::c_int;
use std::time::Duration;

use libloading::Library;

use crate::within;

const DRIVER: &str = if cfg!(windows) {
    "nvcuda.dll"
} else {
    "libcuda.so.1"
};

/// Time in which the driver must have answered.
const DEADLINE: Duration = Duration::from_secs(20);

/// How many devices the driver has, or why it cannot be asked.
pub fn cuda_devices() -> Result<usize, String> {
    within(DEADLINE, count).unwrap_or_else(|| {
        Err(format!(
            "the NVIDIA driver did not answer within {} s",
            DEADLINE.as_secs()
        ))
    })
}

fn count() -> Result<usize, String> {
    // SAFETY: the name is the driver's own, and loading it runs its constructors, as any use of CUDA does.
    let driver = unsafe { Library::new(DRIVER) }
        .map_err(|cause| format!("there is no NVIDIA driver ({})", crate::reason(&cause)))?;
    let function = |name: &str, cause| format!("the NVIDIA driver has no `{name}` ({cause})");
    // SAFETY: the signature of `cuInit` in the driver's interface.
    let init = unsafe { driver.get::<unsafe extern "C" fn(u32) -> c_int>(b"cuInit\0") }
        .map_err(|cause| function("cuInit", cause))?;
    // SAFETY: the signature of `cuDeviceGetCount` in the driver's interface.
    let get_count =
        unsafe { driver.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"cuDeviceGetCount\0") }
            .map_err(|cause| function("cuDeviceGetCount", cause))?;
    let mut count = 0;
    // SAFETY: 0 is the only value `cuInit` takes, and `count` is valid to write to.
    let code = unsafe {
        match init(0) {
            0 => get_count(&mut count),
            code => code,
        }
    };
    // The engine uses it next, and a driver is not made to be unloaded.
    std::mem::forget(driver);
    match code {
        0 => Ok(usize::try_from(count).unwrap_or(0)),
        // CUDA_ERROR_NO_DEVICE
        100 => Ok(0),
        code => Err(format!("the NVIDIA driver does not start (error {code})")),
    }
}
