//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod cifar;
mod common;
mod folder;
#[cfg(target_os = "linux")]
mod hostile;
mod npz;
mod parquet;
mod real;
