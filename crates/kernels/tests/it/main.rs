//! The tests of the crate from outside, in one binary.

mod every_order;
