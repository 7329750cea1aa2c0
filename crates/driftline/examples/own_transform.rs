//! A drift transform of one's own: rows of the sensor that stay black.

use std::error::Error;

use driftline::core::{
    DriftTransform, ImageBatch, Registration, Result, TransformContext, TransformInfo,
    TransformSpec,
};
use driftline::pipeline::Cancel;
use driftline::{Components, DriftOptions, EmbedOptions, drift, embed};

struct DeadRows {
    info: TransformInfo,
    count: usize,
}

impl DeadRows {
    /// As in `dead_rows(4)` or `dead_rows(count=4)`.
    fn new(spec: &TransformSpec) -> Result<Self> {
        let parameters = spec.resolve(&["count"])?;
        let count = parameters.get("count").and_then(|count| count.as_f64());
        let count = count.unwrap_or(1.0) as usize;
        Ok(Self {
            info: TransformInfo {
                name: "dead_rows".to_owned(),
                expression: format!("dead_rows(count={count})"),
            },
            count,
        })
    }
}

impl DriftTransform for DeadRows {
    fn info(&self) -> &TransformInfo {
        &self.info
    }

    fn apply(&self, images: &mut ImageBatch, _: &TransformContext<'_>) -> Result<()> {
        let row = images.shape().width * 3;
        for image in images.images_mut() {
            let dead = image.len().min(self.count * row);
            image[..dead].fill(0);
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut components = Components::built_in()?;
    components.transforms.register(Registration::built_in(
        "dead_rows",
        &[],
        "rows of the sensor that stay black; count=1",
        |spec| Ok(Box::new(DeadRows::new(spec)?) as _),
    ))?;

    let folder = tempfile::tempdir()?;
    let [clean, broken] = ["clean", "broken"].map(|name| folder.path().join(name));
    for (rows, transform) in [(&clean, "none"), (&broken, "dead_rows(4)")] {
        let options = EmbedOptions {
            transform: transform.to_owned(),
            ..EmbedOptions::default()
        };
        embed(
            "sample#test",
            rows,
            &options,
            &components,
            &Cancel::default(),
            &(),
        )?;
    }
    let report = drift(&clean, &broken, &DriftOptions::default())?;
    println!(
        "{:?}: {}",
        report.verdict,
        report.explanation.changes.join(", ")
    );
    Ok(())
}
