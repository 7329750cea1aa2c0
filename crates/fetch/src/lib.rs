//! Downloads into a cache: models and data sets that are too large for the repository.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`artifact`] | [`Artifact`]: a file with its address, size and checksum, and the official ones |
//! | [`cache`] | [`Cache`]: the folder that artifacts are kept in |
//! | [`download`] | [`Patience`] and [`DownloadProgress`] |
//!
//! ```no_run
//! use driftline_fetch::{Cache, artifact};
//!
//! let path = Cache::open()?.fetch(&artifact::RESNET18_CIFAR10, &mut |progress| {
//!     eprintln!("{} of {} bytes", progress.received, progress.total);
//! })?;
//! # Ok::<(), driftline_core::Error>(())
//! ```

pub mod artifact;
pub mod cache;
pub mod download;
#[cfg(feature = "download")]
mod http;

pub use artifact::{Artifact, CIFAR10_BINARY, RESNET18_CIFAR10};
pub use cache::Cache;
pub use download::{DownloadProgress, MIRROR, Patience};
