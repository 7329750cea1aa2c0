//! Libraries of engines: in the user's cache, or the user's own.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`onnx`] | libonnxruntime |
//! | [`tch`] | libtorch |

#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "plugins")]
pub mod tch;
mod wheel;

use std::path::PathBuf;

use driftline_fetch::Cache;

/// The folder that the library of `engine` is installed in; none where the user has no cache folder.
pub fn folder(engine: &str) -> Option<PathBuf> {
    let cache = Cache::open().ok()?;
    Some(cache.folder().join("runtimes").join(engine))
}
