//! `model`: fetch, inspect and export.

use driftline::model::ModelPackage;
use driftline::models;
use serde::Serialize;

use crate::args::{ModelArgs, ModelCommand, Output};
use crate::outcome::Outcome;
use crate::output;
use crate::progress::Reporter;
use crate::table::Table;

#[derive(Serialize)]
struct Report {
    name: String,
    weights: String,
    sha256: String,
    architecture: &'static str,
    base_width: usize,
    input: [usize; 2],
    dim: usize,
    classes: Vec<String>,
}

/// Fetches, inspects or exports.
pub fn model(args: &ModelArgs, output: Output) -> anyhow::Result<Outcome> {
    let progress = Reporter::new(output.quiet);
    match &args.command {
        ModelCommand::Fetch => {
            let path = models::resolve("cifar10", &progress)?;
            let path = path.display().to_string();
            if output.json {
                output::json(&serde_json::json!({ "path": path }))?;
            } else {
                output::text(&path)?;
            }
        }
        ModelCommand::ExportOnnx {
            model,
            output: path,
        } => {
            let package = ModelPackage::open(&models::resolve(model, &progress)?)?;
            let manifest = package.export_onnx(path)?;
            if output.json {
                output::json(&serde_json::json!({ "graph": path, "model": manifest }))?;
            } else {
                output::text(&format!("{} and {}", path.display(), manifest.display()))?;
            }
        }
        ModelCommand::Inspect { model } => {
            let package = ModelPackage::open(&models::resolve(model, &progress)?)?;
            let (network, classes) = package.network()?;
            let shape = package.preprocessing.shape;
            let report = Report {
                weights: package.weights.display().to_string(),
                architecture: "resnet18",
                base_width: network.base_width(),
                input: [shape.height, shape.width],
                dim: network.dim(),
                classes,
                name: package.name,
                sha256: package.sha256,
            };
            if output.json {
                output::json(&report)?;
            } else {
                let mut table = Table::new(["model", &report.name]);
                table.add_row(["sha256", &report.sha256]);
                table.add_row(["architecture", report.architecture]);
                table.add_row(["base width", &report.base_width.to_string()]);
                table.add_row(["input", &shape.to_string()]);
                table.add_row([
                    "embedding",
                    &format!("{} values, output of fc.0", report.dim),
                ]);
                table.add_row(["classes", &report.classes.join(", ")]);
                table.print()?;
                output::text(&format!("weights: {}", report.weights))?;
            }
        }
    }
    Ok(Outcome::Done)
}
