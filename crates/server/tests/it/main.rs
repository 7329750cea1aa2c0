//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod common;
mod health;
mod killed;
mod legacy;
mod limits;
mod numbers;
mod page;
mod seats;
mod tls;
mod v3;
