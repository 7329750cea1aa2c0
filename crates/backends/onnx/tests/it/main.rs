//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod common;
mod graphs;
mod library;
mod onnx;
