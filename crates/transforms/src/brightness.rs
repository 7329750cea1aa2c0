//! Brightness, as `adjust_brightness` of torchvision on PIL images: a blend with black.

use driftline_core::{DriftTransform, ImageBatch, Result, TransformContext, TransformInfo};
use rayon::prelude::*;

use crate::strength::{Strength, refuse};

const NAME: &str = "brightness";

/// Multiplies every channel by a factor; the result is truncated, and above a factor of 1 clipped to 255.
#[derive(Debug)]
pub struct Brightness {
    info: TransformInfo,
    factor: Strength,
}

impl Brightness {
    /// Draws the factor of each image from `factor`, which may not be negative.
    pub fn new(factor: Strength) -> Result<Self> {
        if factor.low() < 0.0 {
            return Err(refuse(format!(
                "a brightness factor of {factor} is negative"
            )));
        }
        Ok(Self {
            info: TransformInfo {
                name: NAME.to_owned(),
                expression: format!("{NAME}(factor={factor})"),
            },
            factor,
        })
    }
}

/// What every pixel value becomes; in f32, as Pillow blends.
fn table(factor: f64) -> [u8; 256] {
    let factor = factor as f32;
    // Casting a float to u8 truncates and clips, which is Pillow's rule on both sides of 1.
    std::array::from_fn(|value| (factor * value as f32) as u8)
}

impl DriftTransform for Brightness {
    fn info(&self) -> &TransformInfo {
        &self.info
    }

    fn apply(&self, images: &mut ImageBatch, ctx: &TransformContext<'_>) -> Result<()> {
        let rows = ctx.rows.iter().copied();
        let work: Vec<(&mut [u8], u64)> = images.images_mut().zip(rows).collect();
        work.into_par_iter().for_each(|(image, row)| {
            let table = table(self.factor.draw(ctx, NAME, row));
            for value in image {
                *value = table[*value as usize];
            }
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_truncated_and_clipped() {
        assert_eq!(table(0.5)[3], 1);
        assert_eq!(table(0.0)[255], 0);
        assert_eq!(table(1.0)[200], 200);
        assert_eq!(table(2.0)[200], 255);
    }
}
