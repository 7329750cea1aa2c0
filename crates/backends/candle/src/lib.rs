//! The candle backend: ResNet-18 embeddings on the CPU, with candle's tensors.
//!
//! candle runs the network in one of two ways: as one fused operation, made from `driftline-kernels`, or layer by layer in
//! operations of its own. Without the feature `candle` the kernels stand behind the trait alone, as the backend `kernels`.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `backend` | [`CandleBackend`]: candle's tensors behind the trait, in either way |
//! | `fused` | [`Embed`]: the network as one operation of candle |
//! | `layers` | the network in candle's own operations |
//! | `candle` | candle's version and errors |
//! | `kernels` | [`KernelsBackend`]: the network behind the trait, without candle |
//! | `chosen` | [`chosen`]: the instruction set that a user names |
//! | `opened` | [`compile`]: a model as the kernels take it |

#[cfg(feature = "candle")]
mod backend;
#[cfg(feature = "candle")]
mod candle;
mod chosen;
#[cfg(feature = "candle")]
mod fused;
mod kernels;
#[cfg(feature = "candle")]
mod layers;
mod opened;

#[cfg(feature = "candle")]
pub use backend::CandleBackend;
pub use chosen::{VARIABLE, chosen};
pub use driftline_kernels::{Instructions, Network};
#[cfg(feature = "candle")]
pub use fused::Embed;
pub use kernels::KernelsBackend;
pub use opened::compile;

use std::path::PathBuf;

use driftline_core::{
    BackendConfig, EmbeddingBackend, Engine, Precision, Registration, Registry, Result,
};

/// The name that [`register`] gives: `candle`, or `kernels` without the feature `candle`.
#[cfg(feature = "candle")]
pub const NAME: &str = backend::NAME;
/// The name that [`register`] gives: `candle`, or `kernels` without the feature `candle`.
#[cfg(not(feature = "candle"))]
pub const NAME: &str = kernels::NAME;

/// What the backend [`NAME`] computes with here, without options and in fp32, as in
/// `candle 0.11.1 + driftline kernels 0.1.0 (avx512)`.
///
/// # Errors
/// Those of [`chosen`].
pub fn engine() -> Result<String> {
    let instructions = chosen(Precision::Fp32)?;
    #[cfg(feature = "candle")]
    let engine = fused::engine(instructions);
    #[cfg(not(feature = "candle"))]
    let engine = driftline_kernels::engine(instructions);
    Ok(engine)
}

/// Registers [`NAME`].
#[cfg(feature = "candle")]
pub fn register(registry: &mut Registry<BackendConfig, Box<dyn EmbeddingBackend>>) -> Result<()> {
    registry.register(Registration::built_in(
        NAME,
        &[],
        "candle's tensors on the CPU, with driftline's kernels; needs nothing installed",
        |config| Ok(Box::new(CandleBackend::open(config)?) as _),
    ))
}

/// Registers the engine of [`NAME`], which needs no library.
pub fn register_engine(registry: &mut Registry<Option<PathBuf>, Engine>) -> Result<()> {
    registry.register(Registration::built_in(
        NAME,
        &[],
        "pure Rust on the CPU",
        |_| Ok(Engine::on_cpu(engine()?)),
    ))
}

/// Registers [`NAME`].
#[cfg(not(feature = "candle"))]
pub fn register(registry: &mut Registry<BackendConfig, Box<dyn EmbeddingBackend>>) -> Result<()> {
    registry.register(Registration::built_in(
        NAME,
        &[],
        "driftline's kernels on the CPU; needs nothing installed",
        |config| Ok(Box::new(KernelsBackend::open(config)?) as _),
    ))
}
