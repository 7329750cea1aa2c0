//! ResNet-18 on libtorch, as a driftline plugin: `--backend tch`, on the CPU and with `--device cuda`.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`backend`] | [`TchBackend`]: batches and buffers around the network |
//! | [`network`] | the network as tensors on a device |
//! | [`cuda`] | opens the CUDA part of libtorch when it is asked for, and proves that it computes in fp32 |
//!
//! One build serves all devices: only the CPU part of libtorch is linked. The host loads libtorch before this library.

pub mod backend;
pub mod cuda;
pub mod network;

pub use backend::TchBackend;

driftline_plugin_sdk::export_plugin! { spawns_threads: true, embeddings: [TchBackend] }
