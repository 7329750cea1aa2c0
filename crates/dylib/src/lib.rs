//! A look at a dynamic library before it is loaded: loading runs its code, and may crash or never return.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`header`] | [`check_header`] and [`exports`]: what the file says, without running anything in it |
//! | [`cuda`] | [`cuda_devices`]: how many the NVIDIA driver has |
//! | [`deadline`] | [`within`]: foreign code that may never return |

pub mod cuda;
pub mod deadline;
pub mod header;

pub use cuda::cuda_devices;
pub use deadline::within;
pub use header::{check_header, exports};

/// Why a library does not load, with what the loader says, which is behind the error's own text.
pub fn reason(error: &libloading::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
