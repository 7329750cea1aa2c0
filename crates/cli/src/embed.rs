//! `embed`: images to a row file.

use driftline::pipeline::OnError;
use driftline::{BackendSettings, Components, EmbedOptions, EmbedReport, EmbedderOptions, Plugins};

use crate::args::{EmbedArgs, EmbeddingArguments, Output};
use crate::outcome::Outcome;
use crate::output;
use crate::progress::{Reporter, stop_on_ctrl_c};

impl From<&EmbeddingArguments> for EmbedderOptions {
    fn from(args: &EmbeddingArguments) -> Self {
        Self {
            model: args.model.clone(),
            backend: BackendSettings {
                name: args.backend.clone(),
                threads: args.threads,
                device: args.device,
                runtime: args.runtime.clone(),
                precision: args.precision,
                ..BackendSettings::default()
            },
            batch_size: args.batch_size,
        }
    }
}

/// Embeds a source.
pub fn embed(args: &EmbedArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let options = EmbedOptions {
        embedder: (&args.embedding).into(),
        transform: args.transform.clone(),
        seed: args.seed,
        on_error: if args.on_error == "fail" {
            OnError::Fail
        } else {
            OnError::Skip
        },
    };
    let report = driftline::embed(
        &args.source,
        &args.output,
        &options,
        &Components::new(plugins)?,
        &stop_on_ctrl_c()?,
        &Reporter::new(output.quiet),
    )?;
    if output.json {
        output::json(&report)?;
    } else {
        show(&report)?;
    }
    Ok(Outcome::Done)
}

fn show(report: &EmbedReport) -> anyhow::Result<()> {
    for bad in &report.skipped {
        output::text(&format!(
            "skipped: row {} ({}): {}",
            bad.row, bad.url, bad.reason
        ))?;
    }
    output::text(&format!(
        "{} rows of {} values in {} ({} skipped, {:.0} images/s)",
        report.rows,
        report.dim,
        report.output.display(),
        report.skipped_images,
        report.images_per_second
    ))
}
