//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod common;
mod faults;
mod mending;
mod processes;
mod recorded;
mod stuck;
