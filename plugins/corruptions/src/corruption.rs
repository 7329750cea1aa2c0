//! What all families have in common: severity, seed, and the way from u8 and back.

use std::hash::Hasher;
use std::marker::PhantomData;

use driftline_plugin_sdk::TransformPlugin;
use driftline_plugin_sdk::core::{
    DriftTransform, Error, ErrorKind, ImageBatch, Result, TransformContext, TransformInfo,
};
use fnv::FnvHasher;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::picture::Picture;

/// A family of corruptions.
pub(crate) trait Family: Send + Sync + 'static {
    /// The name a user writes.
    const NAME: &'static str;
    /// One line about it.
    const SUMMARY: &'static str;

    /// The corrupted image.
    fn corrupt(image: &Picture, level: Level, random: &mut ChaCha8Rng) -> Picture;
}

/// How strong a corruption is.
#[derive(Clone, Copy)]
pub(crate) struct Level {
    /// 0 to 4.
    severity: usize,
    /// Whether the image is as small as those of CIFAR-10.
    small: bool,
}

impl Level {
    /// The constants for this severity: those of CIFAR-10-C for small images, those of ImageNet-C for larger ones.
    pub(crate) fn of<T: Copy>(self, cifar: [T; 5], imagenet: [T; 5]) -> T {
        let constants = if self.small { cifar } else { imagenet };
        constants[self.severity]
    }
}

/// Largest height and width that take the constants of CIFAR-10-C.
const SMALL: usize = 32;

/// What a user writes in the parentheses.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    /// 1 is the weakest, 5 the strongest.
    #[serde(default = "three")]
    severity: f64,
}

fn three() -> f64 {
    3.0
}

/// The transform of a family.
pub(crate) struct Corruption<F> {
    info: TransformInfo,
    /// 0 to 4.
    severity: usize,
    family: PhantomData<F>,
}

impl<F: Family> TransformPlugin for Corruption<F> {
    const NAME: &'static str = F::NAME;
    const SUMMARY: &'static str = F::SUMMARY;
    const PARAMETERS: &'static [&'static str] = &["severity"];
    type Parameters = Parameters;

    fn new(Parameters { severity }: Parameters) -> Result<Self> {
        if !(1.0..=5.0).contains(&severity) || severity.fract() != 0.0 {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "configure transform",
                format!("`severity` is {severity}, not 1, 2, 3, 4 or 5"),
            )
            .with("transform", F::NAME));
        }
        Ok(Self {
            info: TransformInfo {
                name: F::NAME.to_owned(),
                expression: format!("{}(severity={severity})", F::NAME),
            },
            severity: severity as usize - 1,
            family: PhantomData,
        })
    }
}

impl<F: Family> DriftTransform for Corruption<F> {
    fn info(&self) -> &TransformInfo {
        &self.info
    }

    fn apply(&self, images: &mut ImageBatch, ctx: &TransformContext<'_>) -> Result<()> {
        let shape = images.shape();
        let level = Level {
            severity: self.severity,
            small: shape.height <= SMALL && shape.width <= SMALL,
        };
        let rows = ctx.rows.iter().copied();
        let work: Vec<(&mut [u8], u64)> = images.images_mut().zip(rows).collect();
        work.into_par_iter().for_each(|(image, row)| {
            let mut random = ChaCha8Rng::seed_from_u64(ctx.seed ^ salt(F::NAME));
            random.set_stream(row);
            let picture = Picture::from_bytes(shape.height, shape.width, image);
            F::corrupt(&picture, level, &mut random).write(image);
        });
        Ok(())
    }
}

/// FNV-1a of the name, so that two families in a chain draw independently.
fn salt(name: &str) -> u64 {
    let mut hash = FnvHasher::default();
    hash.write(name.as_bytes());
    hash.finish()
}
