//! A backend whose embedding is the mean of the image, and that misbehaves on request.

use driftline_plugin_sdk::EmbeddingPlugin;
use driftline_plugin_sdk::core::{
    BackendConfig, BackendInfo, Device, EmbeddingBackend, ImageShape, ImageView, InferenceMut,
    Precision, Result,
};

use crate::request::how;

const DIM: usize = 4;

pub(crate) struct Misbehaving {
    info: BackendInfo,
}

impl EmbeddingBackend for Misbehaving {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        assert!(how() != "panic_in_embed", "embed panics on request");
        let rows = out.embeddings.chunks_exact_mut(DIM);
        for (i, (image, row)) in images.images().zip(rows).enumerate() {
            let sum: f32 = image.iter().map(|value| f32::from(*value)).sum();
            match how().as_str() {
                "unwritten" if i == 2 => {}
                "nan" if i == 1 => row.fill(f32::NAN),
                _ => row.fill(sum / image.len() as f32),
            }
        }
        if let Some(scores) = &mut out.scores {
            scores.fill(0.5);
        }
        Ok(())
    }
}

impl EmbeddingPlugin for Misbehaving {
    const NAME: &'static str = "misbehaving";
    const SUMMARY: &'static str = "a backend that misbehaves on request";
    const ENGINE: &'static str = "none";
    const DEVICES: &'static [&'static str] = &["cpu"];

    fn open(config: &BackendConfig) -> Result<Self> {
        let how = how();
        assert!(how != "panic_in_open", "open panics on request");
        let of_classes = |n: usize| (0..n).map(|i| format!("class {i}")).collect();
        Ok(Self {
            info: BackendInfo {
                name: Self::NAME.to_owned(),
                engine: Self::ENGINE.to_owned(),
                device: Device::Cpu,
                precision: Precision::Fp32,
                threads: config.threads,
                input: ImageShape {
                    height: 32,
                    width: 32,
                },
                dim: if how == "zero_dim" { 0 } else { DIM },
                classes: of_classes(2),
                notes: Vec::new(),
            },
        })
    }
}
