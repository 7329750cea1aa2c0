//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod cifar;
mod common;
mod folder;
mod npz;
mod parquet;
mod real;
