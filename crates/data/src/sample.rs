//! The procedural sample data set.
