//! A transform that panics on request.

use std::sync::atomic::{AtomicBool, Ordering};

use driftline_plugin_sdk::TransformPlugin;
use driftline_plugin_sdk::core::{
    DriftTransform, ImageBatch, Result, TransformContext, TransformInfo,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// Its parameters.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    how: String,
    /// Never shown by the host.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    _token: Option<u32>,
}

pub(crate) struct Misbehaving {
    info: TransformInfo,
    how: String,
    /// Whether it was used, so that an instance made by `validate` does not panic already.
    used: AtomicBool,
}

impl DriftTransform for Misbehaving {
    fn info(&self) -> &TransformInfo {
        assert!(
            self.how != "panic_in_describe",
            "describe panics on request"
        );
        &self.info
    }

    fn apply(&self, images: &mut ImageBatch, _: &TransformContext<'_>) -> Result<()> {
        self.used.store(true, Ordering::Relaxed);
        match self.how.as_str() {
            "panic_in_apply" => panic!("apply panics on request"),
            "panic_with_a_number" => std::panic::panic_any(42),
            "other_shape" => {
                let mut shape = images.shape();
                shape.height += 1;
                *images = ImageBatch::new(shape, vec![0; images.len() * shape.bytes()])?;
            }
            _ => {}
        }
        Ok(())
    }
}

impl Drop for Misbehaving {
    fn drop(&mut self) {
        let used = self.used.load(Ordering::Relaxed);
        assert!(
            !(used && self.how == "panic_in_destroy"),
            "destroy panics on request"
        );
    }
}

impl TransformPlugin for Misbehaving {
    const NAME: &'static str = "misbehaving";
    const SUMMARY: &'static str = "a transform that panics on request; how=...";
    const PARAMETERS: &'static [&'static str] = &["how"];
    type Parameters = Parameters;

    fn new(Parameters { how, .. }: Parameters) -> Result<Self> {
        assert!(how != "panic_in_create", "create panics on request");
        Ok(Self {
            info: TransformInfo {
                name: Self::NAME.to_owned(),
                expression: format!("misbehaving(how={how})"),
            },
            how,
            used: AtomicBool::new(false),
        })
    }
}
