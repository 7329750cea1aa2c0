//! Power cuts, faults at the n-th call and flipped bits, over everything that driftline keeps.
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]
#![allow(clippy::unwrap_used)]

mod common;

mod bit_flips;
mod drivers;
mod interposed;
mod nth_fault;
mod power_cut;
