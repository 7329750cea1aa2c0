//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod common;
mod laws;
mod numbers;
mod rows;
mod year;
