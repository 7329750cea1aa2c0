//! A drift transform as a plugin: `invert(amount=0.5)`.

use driftline_plugin_sdk::core::{
    DriftTransform, Error, ErrorKind, ImageBatch, Result, TransformContext, TransformInfo,
};
use driftline_plugin_sdk::{TransformPlugin, export_plugin};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a user writes in the parentheses.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Parameters {
    /// 0 changes nothing, 1 gives the negative.
    #[serde(default = "all")]
    amount: f32,
}

fn all() -> f32 {
    1.0
}

/// Moves every value towards its negative.
struct Invert {
    info: TransformInfo,
    table: [u8; 256],
}

impl DriftTransform for Invert {
    fn info(&self) -> &TransformInfo {
        &self.info
    }

    fn apply(&self, images: &mut ImageBatch, _: &TransformContext<'_>) -> Result<()> {
        for value in images.images_mut().flatten() {
            *value = self.table[usize::from(*value)];
        }
        Ok(())
    }
}

impl TransformPlugin for Invert {
    const NAME: &'static str = "invert";
    const SUMMARY: &'static str = "towards the negative of the image";
    const PARAMETERS: &'static [&'static str] = &["amount"];
    type Parameters = Parameters;

    fn new(Parameters { amount }: Parameters) -> Result<Self> {
        if !(0.0..=1.0).contains(&amount) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "configure transform",
                format!("`amount` is {amount}, not from 0 to 1"),
            )
            .with("transform", Self::NAME));
        }
        Ok(Self {
            info: TransformInfo {
                name: Self::NAME.to_owned(),
                expression: format!("invert(amount={amount})"),
            },
            table: std::array::from_fn(|value| {
                let value = value as f32;
                (value + amount * (255.0 - 2.0 * value)).round() as u8
            }),
        })
    }
}

export_plugin! { transforms: [Invert] }
