//! The candle backend: ResNet-18 embeddings on the CPU, in Rust from end to end.
//!
//! The network is compiled once for the input size at hand: batch norm, shortcut and ReLU are part of the convolutions,
//! weights are packed for the inner loops, every buffer is planned. It runs beside candle's tensors, since an operation of
//! candle allocates its result; [`Embed`] is the same network as an operation of candle.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`backend`] | [`CandleBackend`]: the network behind the trait |
//! | [`operation`] | [`Embed`]: the network as an operation of candle |
//! | [`network`] | [`Network`]: plan, threads and buffers together |
//! | [`instructions`] | which inner loops a processor can run |
//! | `plan` | the order of the layers, and the buffers between them |
//! | `stem` | pixels to the planes of the first stage |
//! | `plane` | planes of activations, and windows that slide over them |
//! | `convolution` | one convolution, in one of two ways |
//! | `direct` | as products of the input itself |
//! | `filtered`, `filter` | 3x3 with fewer products, after Winograd |
//! | `weight` | weights as the inner loops read them |
//! | `kernel` | the inner loops, compiled once for each instruction set |
//! | `amx` | products of bf16 on tiles |
//! | `simd` | vectors of each instruction set |
//! | `team`, `meeting` | threads that work on one thing together, and where they wait for each other |
//! | `sync` | atomic numbers, and waiting for them |
//! | `memory` | buffers that start on a cache line |
//! | `ceilings` | what the processor can do, measured |

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
pub mod backend;
#[cfg(test)]
mod ceilings;
mod convolution;
mod direct;
mod filter;
mod filtered;
pub mod instructions;
mod kernel;
mod meeting;
mod memory;
pub mod network;
#[cfg(feature = "candle")]
pub mod operation;
mod plan;
mod plane;
mod simd;
mod stem;
mod sync;
mod team;
mod weight;

pub use backend::CandleBackend;
pub use instructions::Instructions;
pub use network::Network;
#[cfg(feature = "candle")]
pub use operation::Embed;

use std::path::PathBuf;

use driftline_core::{BackendConfig, EmbeddingBackend, Engine, Registration, Registry, Result};

/// Engine and version, as shown to users.
pub const ENGINE: &str = if cfg!(feature = "candle") {
    "candle 0.11.1"
} else {
    concat!("driftline kernels ", env!("CARGO_PKG_VERSION"))
};

/// Registers `candle`.
pub fn register(registry: &mut Registry<BackendConfig, Box<dyn EmbeddingBackend>>) -> Result<()> {
    registry.register(Registration::built_in(
        "candle",
        &[],
        "pure Rust on the CPU; needs nothing installed",
        |config| Ok(Box::new(CandleBackend::open(config)?) as _),
    ))
}

/// Registers the engine of `candle`, which needs no library.
pub fn register_engine(registry: &mut Registry<Option<PathBuf>, Engine>) -> Result<()> {
    registry.register(Registration::built_in(
        "candle",
        &[],
        "pure Rust on the CPU",
        |_| Ok(Engine::on_cpu(ENGINE)),
    ))
}
