//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod corruptions;
mod examples;
mod misbehaving;
mod plugins;
mod remedies;
