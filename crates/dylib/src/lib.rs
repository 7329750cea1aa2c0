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
