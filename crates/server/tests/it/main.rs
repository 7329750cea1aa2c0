//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod bad_input;
mod common;
mod health;
mod histories;
mod killed;
mod legacy;
mod limits;
mod numbers;
mod one_step;
mod page;
mod repair;
mod seats;
mod tls;
mod uploads;
mod v3;
