//! `embed`: images to a row file.

use driftline::baselines::note_origin;
use driftline::core::{BackendConfig, Error, ErrorKind, Origin, RowSchema};
use driftline::data::DecodeOptions;
use driftline::model::ModelPackage;
use driftline::pipeline::part::{PartBuilder, RowNames};
use driftline::pipeline::{EmbedOptions, OnError, Progress, embed as embed_all};
use driftline::plan::{all_threads, tell_notes};
use driftline::rows::RowsWriter;
use driftline::{Plugins, models, properties, registries, sources};
use serde::Serialize;

use crate::args::{EmbedArgs, Output};
use crate::progress::{Reporter, stop_on_ctrl_c};
use crate::{Outcome, output};

#[derive(Serialize)]
struct Report {
    output: String,
    rows: u64,
    skipped_images: u64,
    dim: usize,
    images_per_second: f64,
}

/// Embeds a source.
pub fn embed(args: &EmbedArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let progress = Reporter::new(output.quiet);
    let cancel = stop_on_ctrl_c()?;
    let path = models::resolve(&args.model, &progress)?;
    let package = ModelPackage::open(&path)?;
    let mut backend = registries::backends(plugins)?.build(
        &args.backend,
        &BackendConfig {
            device: args.device,
            runtime: args.runtime.clone(),
            precision: args.precision,
            ..BackendConfig::new(path, args.threads.unwrap_or_else(all_threads).get())
        },
    )?;
    tell_notes(backend.info(), &progress);
    let info = backend.info();
    let schema =
        RowSchema::new(info.dim, info.classes.clone())?.with_properties(properties::names());
    let decode = DecodeOptions {
        shape: backend.info().input,
        resize: package.preprocessing.resize,
    };
    let transforms = registries::build_transforms(&args.transform, plugins)?;
    let mut source = sources::open(&args.source, &decode, &progress)?;
    let stem = args.output.file_stem().unwrap_or_default();
    let names = RowNames {
        schema: schema.clone(),
        run_id: source.info().fingerprint.chars().take(12).collect(),
        window: stem.to_string_lossy().into_owned(),
        timestamp_ms: jiff::Timestamp::now().as_millisecond(),
    };
    let mut writer = RowsWriter::create(&args.output, &schema)?;
    let mut builder = PartBuilder::new(names, 0);
    let (mut rows, mut skipped) = (0, Vec::new());
    let options = EmbedOptions {
        batch_size: args.batch_size.get(),
        seed: args.seed,
        on_error: if args.on_error == "fail" {
            OnError::Fail
        } else {
            OnError::Skip
        },
    };
    progress.begin("embed", source.info().rows);
    let mut keep = |part: driftline::pipeline::part::Part| {
        rows += part.rows.len() as u64;
        skipped.extend(part.skipped);
        writer.write(part.rows.batch())
    };
    let (images, spent) = embed_all(
        source.as_mut(),
        &transforms,
        backend.as_mut(),
        options,
        &cancel,
        |batch| {
            progress.advance(batch.source_rows());
            builder.add(&batch, |_, part| keep(part))
        },
    )?;
    if let Some((_, part)) = builder.finish()? {
        keep(part)?;
    }
    if rows == 0 {
        return Err(Error::new(
            ErrorKind::InvalidData,
            "embed",
            "the source has no usable image",
        )
        .with("source", &args.source)
        .remedy("run again with `--on-error fail` to see what is wrong with the first of them")
        .into());
    }
    let origin = Origin {
        model_sha256: package.sha256.clone(),
        preprocessing: package.preprocessing.to_string(),
        precision: backend.info().precision,
    };
    note_origin(&mut writer, &origin)?;
    writer.finish()?;
    progress.end();
    let report = Report {
        output: args.output.display().to_string(),
        rows,
        skipped_images: skipped.len() as u64,
        dim: schema.dim,
        images_per_second: images as f64 / spent.as_secs_f64().max(f64::MIN_POSITIVE),
    };
    if output.json {
        output::json(&report)?;
    } else {
        for bad in &skipped {
            output::text(&format!(
                "skipped: row {} ({}): {}",
                bad.row, bad.url, bad.reason
            ))?;
        }
        output::text(&format!(
            "{} rows of {} values in {} ({} skipped, {:.0} images/s)",
            report.rows, report.dim, report.output, report.skipped_images, report.images_per_second
        ))?;
    }
    Ok(Outcome::Done)
}
