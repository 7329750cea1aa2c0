//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod errors;
mod recorded;
