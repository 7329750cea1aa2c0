//! The tests of the crate from outside, in one binary.

#![allow(clippy::unwrap_used)]

mod accuracy;
mod charts;
mod check;
mod classifier;
mod counts;
mod distributions;
mod frechet;
mod hotelling;
mod ks;
mod profile;
mod profile_columns;
mod samples;
mod shares;
mod speed;
mod streams;
