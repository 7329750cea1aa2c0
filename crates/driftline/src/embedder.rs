//! A model on a backend: images in, rows out.

use std::num::NonZeroUsize;
use std::time::Duration;

use driftline_core::{
    BackendConfig, BackendInfo, DriftTransform, EmbeddingBackend, Result, RowOrigin, RowSchema,
};
use driftline_data::DecodeOptions;
use driftline_model::ModelPackage;
use driftline_pipeline::{
    Cancel, EmbedOptions, EmbeddedPart, OnError, PartBuilder, Progress, RowNames,
};

use crate::{BackendSettings, Components, ModelSettings, RunSettings, Settings, models, sources};

/// Which model embeds, on which backend.
#[derive(Debug, Clone, PartialEq)]
pub struct EmbedderOptions {
    /// A `model.toml`, a weights file, `sample` or `cifar10`.
    pub model: String,
    /// The backend.
    pub backend: BackendSettings,
    /// Images in one call of the backend.
    pub batch_size: NonZeroUsize,
}

impl Default for EmbedderOptions {
    fn default() -> Self {
        Self {
            model: ModelSettings::default().path,
            backend: BackendSettings::default(),
            batch_size: RunSettings::default().batch_size,
        }
    }
}

impl Settings {
    /// What embeds the images of a run.
    pub fn embedder(&self) -> EmbedderOptions {
        EmbedderOptions {
            model: self.model.path.clone(),
            backend: self.backend.clone(),
            batch_size: self.run.batch_size,
        }
    }
}

/// Images to embed.
#[derive(Clone, Copy)]
pub struct Images<'a> {
    /// Path or name, see [`sources::open`].
    pub source: &'a str,
    /// Name of the window that the rows are of.
    pub window: &'a str,
    /// Drift to inject, in order.
    pub transforms: &'a [Box<dyn DriftTransform>],
    /// Seed of the transforms.
    pub seed: u64,
    /// What a bad image does.
    pub on_error: OnError,
}

/// A model on a backend, opened.
pub struct Embedder {
    pub(crate) package: ModelPackage,
    pub(crate) backend: Box<dyn EmbeddingBackend>,
    pub(crate) schema: RowSchema,
    batch_size: usize,
}

impl Embedder {
    /// Opens the model, which is downloaded first where it must be.
    ///
    /// # Errors
    /// `NotFound` without such a model, `InvalidConfig` without such a backend, and those of opening either.
    pub fn open(
        options: &EmbedderOptions,
        components: &Components,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let path = models::resolve(&options.model, progress)?;
        let package = ModelPackage::open(&path)?;
        let chosen = &options.backend;
        let config = BackendConfig {
            device: chosen.device,
            runtime: chosen.runtime.clone(),
            precision: chosen.precision,
            options: chosen.options.clone(),
            ..BackendConfig::new(path, chosen.threads.unwrap_or_else(all_threads).get())
        };
        let backend = components.backends.build(&chosen.name, &config)?;
        let info = backend.info();
        tell_notes(info, progress);
        let schema = RowSchema::new(info.dim, info.classes.clone())?
            .with_properties(driftline_properties::names());
        Ok(Self {
            package,
            backend,
            schema,
            batch_size: options.batch_size.get(),
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

    /// Hands the rows of `images` on, part by part, in order. Returns the number of images and the time inside the backend.
    ///
    /// # Errors
    /// `Interrupted` where `cancel` asked to stop; those of reading, of the backend and of `keep`.
    pub fn rows(
        &mut self,
        images: Images<'_>,
        cancel: &Cancel,
        progress: &dyn Progress,
        mut keep: impl FnMut(EmbeddedPart) -> Result<()> + Send,
    ) -> Result<(u64, Duration)> {
        let decode = DecodeOptions {
            shape: self.backend.info().input,
            resize: self.package.preprocessing.resize,
        };
        let mut source = sources::open(images.source, &decode, progress)?;
        let names = RowNames {
            schema: self.schema.clone(),
            run_id: source.info().fingerprint.chars().take(12).collect(),
            window: images.window.to_owned(),
            timestamp_ms: jiff::Timestamp::now().as_millisecond(),
        };
        let mut builder = PartBuilder::new(names, 0);
        let options = EmbedOptions {
            batch_size: self.batch_size,
            seed: images.seed,
            on_error: images.on_error,
        };
        progress.begin(images.window, source.info().rows);
        let done = driftline_pipeline::embed(
            source.as_mut(),
            images.transforms,
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

/// As many threads as the machine runs at once.
pub fn all_threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Tells, once, what a user should know about how the backend runs here.
fn tell_notes(backend: &BackendInfo, progress: &dyn Progress) {
    for note in &backend.notes {
        progress.note(&format!("{}: {note}", backend.name));
    }
    let cores = all_threads().get();
    if backend.threads > cores {
        progress.note(&format!(
            "{}: {} threads on {cores} cores take turns, which is slower than {cores} threads",
            backend.name, backend.threads
        ));
    }
}
