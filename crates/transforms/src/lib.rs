//! Built-in drift transforms, bit-exact with torchvision 0.26 on PIL images for a given strength.
//!
//! | name | alias | parameter | default |
//! | --- | --- | --- | --- |
//! | `gaussian_blur` | `blur` | `sigma`: standard deviation of the 3x3 kernel in pixels, above 0 | `0.1..2` |
//! | `brightness` | | `factor`: 0 is black, 1 the image as it is | `0.4..0.6` |
//!
//! A parameter is a number, or a range from which every image draws its own value, uniformly, as a function of (seed,
//! name of the transform, row) alone.

mod brightness;
mod gaussian_blur;
mod strength;

pub use brightness::Brightness;
pub use gaussian_blur::GaussianBlur;
pub use strength::Strength;

use driftline_core::{DriftTransform, Registration, Registry, Result, TransformSpec};

/// Registers all transforms of this crate.
pub fn register(registry: &mut Registry<TransformSpec, Box<dyn DriftTransform>>) -> Result<()> {
    registry.register(Registration::built_in(
        "gaussian_blur",
        &["blur"],
        "Gaussian blur with a 3x3 kernel; sigma=0.1..2",
        |spec| {
            let sigma = Strength::from_spec(spec, "sigma", (0.1, 2.0))?;
            Ok(Box::new(GaussianBlur::new(sigma)?) as _)
        },
    ))?;
    registry.register(Registration::built_in(
        "brightness",
        &[],
        "brightness times a factor; factor=0.4..0.6",
        |spec| {
            let factor = Strength::from_spec(spec, "factor", (0.4, 0.6))?;
            Ok(Box::new(Brightness::new(factor)?) as _)
        },
    ))
}
