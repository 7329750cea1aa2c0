//! The candle backend: ResNet-18 embeddings on the CPU, in Rust from end to end.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`backend`] | [`CandleBackend`]: batches, threads, buffers |
//! | `convolution` | convolution and max pool on channels-last tensors |
//! | `network` | the network as candle tensors; knows nothing of the traits |

pub mod backend;
mod convolution;
mod network;

pub use backend::CandleBackend;

use driftline_core::{BackendConfig, EmbeddingBackend, Registration, Registry, Result};

/// Version of the engine, as it is shown.
pub const ENGINE: &str = "candle 0.11.1";

/// Registers `candle`.
pub fn register(registry: &mut Registry<BackendConfig, Box<dyn EmbeddingBackend>>) -> Result<()> {
    registry.register(Registration::built_in(
        "candle",
        &[],
        "pure Rust on the CPU; needs nothing installed",
        |config| Ok(Box::new(CandleBackend::open(config)?) as _),
    ))
}
