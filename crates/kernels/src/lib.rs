//! ResNet-18 on the CPU, fast: the network compiled for the input size at hand.
//!
//! Batch norm, shortcut and ReLU are part of the convolutions, weights are packed for the inner loops, every buffer is
//! planned. The crate knows no engine and no file: a [`ResNet18`] borrows weights from whoever read them, and a [`Network`]
//! turns u8 images into f32 embeddings and scores.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `network` | [`Network`]: plan, threads and buffers together |
//! | `resnet18` | [`ResNet18`], [`Input`]: what a network is made of |
//! | `instructions` | [`Instructions`]: which inner loops a processor can run |
//! | `plan` | the order of the layers, and the buffers between them |
//! | `areas` | the memory of a run, divided among the layers |
//! | `stem` | pixels to the planes of the first stage |
//! | `plane` | planes of activations, and windows that slide over them |
//! | `convolution` | one convolution, in one of two ways |
//! | `direct` | as products of the input itself |
//! | `filtered`, `filter` | 3x3 with fewer products, after Winograd |
//! | `weight` | weights as the inner loops read them |
//! | `kernel` | the inner loops, compiled once for each instruction set |
//! | `product`, `transform`, `pool`, `gather` | the inner loops, for any vector |
//! | `amx` | products of bf16 on tiles |
//! | `simd` | vectors of each instruction set |
//! | `team`, `meeting` | threads that work on one thing together, and where they wait for each other |
//! | `sync` | atomic numbers, and waiting for them |
//! | `memory` | buffers that start on a cache line |
//! | `ceilings` | what the processor can do, measured |

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod amx;
mod areas;
#[cfg(test)]
mod ceilings;
mod convolution;
mod direct;
mod filter;
mod filtered;
mod gather;
mod instructions;
mod kernel;
mod meeting;
mod memory;
mod network;
mod plan;
mod plane;
mod pool;
mod product;
mod resnet18;
mod simd;
mod stem;
mod sync;
mod team;
mod transform;
mod weight;

pub use instructions::Instructions;
pub use network::Network;
pub use resnet18::{Block, Conv, Input, Linear, ResNet18};

/// Name, version and instruction set, as in `driftline kernels 0.1.0 (avx512)`.
pub fn engine(instructions: Instructions) -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!("driftline kernels {version} ({instructions})")
}
