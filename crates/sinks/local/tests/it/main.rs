//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod changes;
mod common;
mod files;
mod maintenance;
mod processes;
mod readers;
mod store;
mod transactions;
