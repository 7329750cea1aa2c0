//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod architecture;
mod common;
mod external;
#[cfg(target_os = "linux")]
mod hostile;
mod onnx_checker;
mod package;
