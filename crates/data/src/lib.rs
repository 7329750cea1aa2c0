//! Where driftline's images come from.

mod decode;
pub mod sample;
mod split;

pub use decode::DecodeOptions;
pub use split::Split;
