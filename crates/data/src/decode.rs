//! Images of any kind to RGB pixels of one shape.

use driftline_core::{ImageShape, Resize};

/// What images are turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// Height and width of every image that comes out.
    pub shape: ImageShape,
    /// How an image of another size is brought to `shape`; one that has it already is not touched.
    pub resize: Resize,
}
