//! A backend of one's own: it embeds an image as its mean colour.

use std::error::Error;

use driftline::core::{
    BackendConfig, BackendInfo, Device, EmbeddingBackend, ImageView, InferenceMut, Precision,
    Registration, Result,
};
use driftline::model::ModelPackage;
use driftline::pipeline::Cancel;
use driftline::{Components, DriftOptions, EmbedOptions, drift, embed};

/// Length of an embedding: red, green, blue.
const DIM: usize = 3;

struct MeanColour {
    info: BackendInfo,
}

impl MeanColour {
    fn new(config: &BackendConfig) -> Result<Self> {
        config.cpu_only("mean_colour")?;
        config.fp32_only("mean_colour")?;
        Ok(Self {
            info: BackendInfo {
                name: "mean_colour".to_owned(),
                engine: "mean_colour 1.0".to_owned(),
                device: Device::Cpu,
                precision: Precision::Fp32,
                threads: 1,
                input: ModelPackage::open(&config.model)?.preprocessing.shape,
                dim: DIM,
                classes: Vec::new(),
                notes: Vec::new(),
            },
        })
    }
}

impl EmbeddingBackend for MeanColour {
    fn info(&self) -> &BackendInfo {
        &self.info
    }

    fn embed(&mut self, images: ImageView<'_>, out: &mut InferenceMut<'_>) -> Result<()> {
        out.check(&self.info, images)?;
        for (image, means) in images.images().zip(out.embeddings.chunks_exact_mut(DIM)) {
            let pixels = image.len() / 3;
            for (channel, mean) in means.iter_mut().enumerate() {
                let values = image.iter().skip(channel).step_by(3);
                let sum: f32 = values.map(|value| f32::from(*value)).sum();
                *mean = sum / (255 * pixels) as f32;
            }
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut components = Components::built_in()?;
    components.backends.register(Registration::built_in(
        "mean_colour",
        &[],
        "the mean colour of an image",
        |config| Ok(Box::new(MeanColour::new(config)?) as _),
    ))?;

    let folder = tempfile::tempdir()?;
    let mut options = EmbedOptions::default();
    options.embedder.backend.name = "mean_colour".to_owned();
    let [clean, dark] = ["clean", "dark"].map(|name| folder.path().join(name));
    for (rows, transform) in [(&clean, "none"), (&dark, "brightness(0.9)")] {
        options.transform = transform.to_owned();
        let report = embed(
            "sample#test",
            rows,
            &options,
            &components,
            &Cancel::default(),
            &(),
        )?;
        println!("{transform}: {} rows of {} values", report.rows, report.dim);
    }
    let report = drift(&clean, &dark, &DriftOptions::default())?;
    println!(
        "{:?}: {}",
        report.verdict,
        report.explanation.changes.join(", ")
    );
    Ok(())
}
