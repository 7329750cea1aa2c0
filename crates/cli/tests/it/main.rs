//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod backends;
mod bad_input;
mod browser;
mod common;
mod drift;
mod fiddler;
mod fiddler_clients;
mod fiddler_faults;
mod guarantees;
mod killed;
mod labels;
mod misbehaving;
mod new_plugin;
mod page;
mod plugins;
mod quickstart;
mod read_back;
mod reproducible;
mod store;
mod streams;
mod tables;
