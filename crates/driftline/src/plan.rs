//! Settings -> a checked run with its backend and sink.

use std::num::NonZeroUsize;
#[cfg(feature = "report")]
use std::path::PathBuf;

use driftline_core::{
    BackendConfig, BackendInfo, EmbeddingBackend, Error, ErrorKind, MonitorSink, MonitorSpec,
    Precision, Registry, Result, RowSchema, SinkConfig, sink::ImageEmbedding,
};
use driftline_data::DecodeOptions;
use driftline_model::ModelPackage;
use driftline_pipeline::{Baseline, Cancel, EmbedOptions, Progress, Run, Summary, Window};
use driftline_sink_local::REPORT;
use jiff::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::plugins::Plugins;
use crate::settings::Settings;
use crate::{models, monitors, registries, sources};

/// A run that is ready to start: everything but its sink is opened and checked.
pub struct Plan {
    run: Run,
    /// Where the page of the run goes.
    #[cfg(feature = "report")]
    report: PathBuf,
    backend: Box<dyn EmbeddingBackend>,
    sinks: Registry<SinkConfig, Box<dyn MonitorSink>>,
    /// Name of the sink among them.
    sink: String,
    sink_config: SinkConfig,
}

/// A run that is done.
#[derive(Debug, Clone, Serialize)]
pub struct Finished {
    /// Its result.
    #[serde(flatten)]
    pub summary: Summary,
    /// Its page: one self-contained HTML file.
    #[cfg(feature = "report")]
    pub report: PathBuf,
}

/// What the run id is a hash of: all that decides what is published.
#[derive(Serialize)]
struct Identity<'a> {
    backend: &'a str,
    /// Unless fp32, so that such runs keep the id that they had before there was a choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    precision: Option<Precision>,
    monitor: &'a MonitorSpec,
    input: String,
    seed: u64,
    now: Option<Timestamp>,
    baseline: &'a str,
    windows: Vec<WindowIdentity>,
}

#[derive(Serialize)]
struct WindowIdentity {
    name: String,
    source: String,
    transforms: Vec<String>,
    start: Option<Timestamp>,
    days: usize,
    per_day: Option<u64>,
}

impl Plan {
    /// Opens model, backend, sources and transforms, looks for the sink, and works out the run id. Nothing is written.
    pub fn new(settings: &Settings, plugins: &Plugins, progress: &dyn Progress) -> Result<Self> {
        let path = models::resolve(&settings.model.path, progress)?;
        let package = ModelPackage::open(&path)?;
        let backend = registries::backends(plugins)?.build(
            &settings.backend.name,
            &BackendConfig {
                device: settings.backend.device,
                runtime: settings.backend.runtime.clone(),
                precision: settings.backend.precision,
                ..BackendConfig::new(
                    path,
                    settings.backend.threads.unwrap_or_else(all_threads).get(),
                )
            },
        )?;
        let info = backend.info();
        tell_notes(info, progress);
        let decode = DecodeOptions {
            shape: info.input,
            resize: package.preprocessing.resize,
        };
        let baseline = sources::open(&settings.baseline.source, &decode, progress)?;
        check_names(settings)?;
        let mut windows = Vec::new();
        for window in &settings.windows {
            let of = |error: Error| error.with("window", &window.name);
            windows.push(Window {
                name: window.name.clone(),
                source: sources::open(&window.source, &decode, progress).map_err(of)?,
                transforms: registries::build_transforms(&window.transform, plugins).map_err(of)?,
                start: window.start,
                days: window.days.get(),
                per_day: window.per_day,
            });
        }
        let monitor = MonitorSpec {
            project: settings.monitor.project.clone(),
            dataset: settings.monitor.dataset.clone(),
            model: settings
                .monitor
                .model
                .clone()
                .unwrap_or_else(|| package.name.clone()),
            model_sha256: package.sha256.clone(),
            schema: RowSchema::new(info.dim, info.classes.clone())?
                .with_properties(driftline_properties::names()),
            custom_feature: ImageEmbedding {
                name: settings.monitor.feature.clone(),
                source_column: driftline_core::rows::IMAGE_URL.to_owned(),
                column: driftline_core::rows::EMBEDDINGS.to_owned(),
                n_clusters: settings.monitor.clusters.get(),
            },
        };
        let run_id = match &settings.run.run_id {
            Some(id) => checked_run_id(id)?,
            None => hash(&Identity {
                backend: &info.name,
                precision: Some(info.precision).filter(|precision| *precision != Precision::Fp32),
                monitor: &monitor,
                input: format!("{:?}", package.preprocessing),
                seed: settings.run.seed,
                now: settings.run.now,
                baseline: &baseline.info().fingerprint,
                windows: windows.iter().map(identity).collect(),
            })?,
        };
        let sinks = registries::sinks(plugins)?;
        sinks.find(&settings.sink.name)?;
        let sink_config = SinkConfig {
            store: settings.sink.store.clone(),
            options: settings.sink.options.clone(),
            monitor: monitor.clone(),
        };
        let store = &settings.sink.store;
        Ok(Self {
            #[cfg(feature = "report")]
            report: store.join(REPORT),
            run: Run {
                run_id,
                now: settings.run.now.unwrap_or_else(Timestamp::now),
                store: store.clone(),
                monitor,
                baseline: Baseline { source: baseline },
                windows,
                options: EmbedOptions {
                    batch_size: settings.run.batch_size.get(),
                    seed: settings.run.seed,
                    on_error: settings.run.on_error,
                },
            },
            backend,
            sinks,
            sink: settings.sink.name.clone(),
            sink_config,
        })
    }

    /// Opens the sink, does the run and, with the feature `report`, writes its page.
    pub fn execute(mut self, cancel: &Cancel, progress: &dyn Progress) -> Result<Finished> {
        let mut sink = self.sinks.build(&self.sink, &self.sink_config)?;
        monitors::remember(&self.run.store, &self.run.monitor)?;
        let backend = self.backend.as_mut();
        let summary = self.run.execute(backend, sink.as_mut(), cancel, progress)?;
        #[cfg(feature = "report")]
        driftline_rows::write_atomic(&self.report, driftline_report::page(&summary).as_bytes())?;
        Ok(Finished {
            summary,
            #[cfg(feature = "report")]
            report: self.report,
        })
    }
}

/// As many threads as the machine runs at once.
pub fn all_threads() -> NonZeroUsize {
    std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Tells, once, what a user should know about how the backend runs here.
pub fn tell_notes(backend: &BackendInfo, progress: &dyn Progress) {
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

fn identity(window: &Window) -> WindowIdentity {
    WindowIdentity {
        name: window.name.clone(),
        source: window.source.info().fingerprint.clone(),
        transforms: window
            .transforms
            .iter()
            .map(|transform| transform.info().expression.clone())
            .collect(),
        start: window.start,
        days: window.days,
        per_day: window.per_day,
    }
}

/// The first 12 hex digits of the sha256 of the canonical JSON of `identity`.
pub(crate) fn hash(identity: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(identity).map_err(|cause| {
        Error::new(
            ErrorKind::Internal,
            "name the run",
            "the settings cannot be hashed",
        )
        .because(cause)
    })?;
    let digest = Sha256::digest(json);
    Ok(digest[..6]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::InvalidConfig, "plan run", message)
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn checked_run_id(id: &str) -> Result<String> {
    if is_plain(id) {
        return Ok(id.to_owned());
    }
    Err(refuse(format!("the run id `{id}` is not a plain name"))
        .remedy("use letters, digits, `-`, `_` and `.`"))
}

fn check_names(settings: &Settings) -> Result<()> {
    if settings.monitor.project == REPORT {
        let message = format!("`{REPORT}` cannot name a project: a run writes its report there");
        return Err(refuse(message).with("setting", "monitor.project"));
    }
    let windows = &settings.windows;
    for (i, window) in windows.iter().enumerate() {
        if !is_plain(&window.name) || window.name == "baseline" {
            return Err(refuse(format!("`{}` cannot name a window", window.name))
                .remedy("use letters, digits, `-`, `_` and `.`, and not `baseline`"));
        }
        if windows[..i].iter().any(|other| other.name == window.name) {
            return Err(refuse(format!("two windows are named `{}`", window.name)));
        }
        if window.per_day == Some(0) {
            return Err(
                refuse("per_day must be at least 1".to_owned()).with("window", &window.name)
            );
        }
    }
    Ok(())
}
