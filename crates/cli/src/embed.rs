//! `embed`: images to a row file.

use std::time::Duration;

use driftline::baselines::note_origin;
use driftline::core::{
    BackendConfig, DriftTransform, EmbeddingBackend, Error, ErrorKind, Result, RowOrigin, RowSchema,
};
use driftline::data::DecodeOptions;
use driftline::model::ModelPackage;
use driftline::pipeline::{
    Cancel, EmbedOptions, EmbeddedPart, OnError, PartBuilder, Progress, RowNames,
    embed as embed_all,
};
use driftline::plan::{all_threads, tell_notes};
use driftline::rows::RowsWriter;
use driftline::{Plugins, models, properties, registries, sources};
use serde::Serialize;

use crate::args::{EmbedArgs, EmbeddingArguments, Output};
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

/// A model on a backend.
pub struct Embedder {
    package: ModelPackage,
    backend: Box<dyn EmbeddingBackend>,
    schema: RowSchema,
    batch_size: usize,
}

impl Embedder {
    /// Opens the model.
    pub fn open(
        args: &EmbeddingArguments,
        plugins: &Plugins,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let path = models::resolve(&args.model, progress)?;
        let package = ModelPackage::open(&path)?;
        let config = BackendConfig {
            device: args.device,
            runtime: args.runtime.clone(),
            precision: args.precision,
            ..BackendConfig::new(path, args.threads.unwrap_or_else(all_threads).get())
        };
        let backend = registries::backends(plugins)?.build(&args.backend, &config)?;
        tell_notes(backend.info(), progress);
        let info = backend.info();
        let schema =
            RowSchema::new(info.dim, info.classes.clone())?.with_properties(properties::names());
        Ok(Self {
            package,
            backend,
            schema,
            batch_size: args.batch_size.get(),
        })
    }

    /// The rows that it makes.
    pub fn schema(&self) -> &RowSchema {
        &self.schema
    }

    /// What makes them.
    pub fn origin(&self) -> RowOrigin {
        RowOrigin {
            model_sha256: self.package.sha256.clone(),
            preprocessing: self.package.preprocessing.to_string(),
            precision: self.backend.info().precision,
        }
    }

    /// Hands the rows of a source on, part by part. Returns the number of images and the time inside the backend.
    pub fn rows(
        &mut self,
        (source, window): (&str, &str),
        transforms: &[Box<dyn DriftTransform>],
        (seed, on_error): (u64, OnError),
        (cancel, progress): (&Cancel, &dyn Progress),
        mut keep: impl FnMut(EmbeddedPart) -> Result<()> + Send,
    ) -> Result<(u64, Duration)> {
        let decode = DecodeOptions {
            shape: self.backend.info().input,
            resize: self.package.preprocessing.resize,
        };
        let mut source = sources::open(source, &decode, progress)?;
        let names = RowNames {
            schema: self.schema.clone(),
            run_id: source.info().fingerprint.chars().take(12).collect(),
            window: window.to_owned(),
            timestamp_ms: jiff::Timestamp::now().as_millisecond(),
        };
        let mut builder = PartBuilder::new(names, 0);
        let options = EmbedOptions {
            batch_size: self.batch_size,
            seed,
            on_error,
        };
        progress.begin(window, source.info().rows);
        let done = embed_all(
            source.as_mut(),
            transforms,
            self.backend.as_mut(),
            options,
            cancel,
            |batch| {
                progress.advance(batch.source_rows());
                builder.add(&batch, |_, part| keep(part))
            },
        )?;
        if let Some((_, part)) = builder.finish()? {
            keep(part)?;
        }
        progress.end();
        Ok(done)
    }
}

/// Embeds a source.
pub fn embed(args: &EmbedArgs, plugins: &Plugins, output: Output) -> anyhow::Result<Outcome> {
    let progress = Reporter::new(output.quiet);
    let cancel = stop_on_ctrl_c()?;
    let mut embedder = Embedder::open(&args.embedding, plugins, &progress)?;
    let transforms = registries::build_transforms(&args.transform, plugins)?;
    let stem = args.output.file_stem().unwrap_or_default();
    let mut writer = RowsWriter::create(&args.output, embedder.schema())?;
    let (mut rows, mut skipped) = (0, Vec::new());
    let on_error = if args.on_error == "fail" {
        OnError::Fail
    } else {
        OnError::Skip
    };
    let (images, spent) = embedder.rows(
        (&args.source, &stem.to_string_lossy()),
        &transforms,
        (args.seed, on_error),
        (&cancel, &progress),
        |part| {
            rows += part.rows.len() as u64;
            skipped.extend(part.skipped);
            writer.write(part.rows.batch())
        },
    )?;
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
    note_origin(&mut writer, &embedder.origin())?;
    writer.finish()?;
    let report = Report {
        output: args.output.display().to_string(),
        rows,
        skipped_images: skipped.len() as u64,
        dim: embedder.schema().dim,
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
