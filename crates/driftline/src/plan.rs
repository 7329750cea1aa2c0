//! Settings -> a run that is ready to start, with its backend and sink.

#[cfg(feature = "report")]
use std::path::PathBuf;

use driftline_core::{
    EmbeddingBackend, Error, ErrorKind, MonitorSink, MonitorSpec, Precision, Registry, Result,
    SinkConfig, sink::ImageEmbedding,
};
use driftline_data::DecodeOptions;
use driftline_pipeline::{Cancel, EmbedOptions, Progress, RunSpec, RunSummary, WindowSpec, run};
use driftline_sink_local::REPORT;
use jiff::Timestamp;
use serde::Serialize;

use crate::embedder::Embedder;
use crate::hash::hash;
use crate::{Components, Settings, monitors, sources};

/// A run that is ready to start: everything but its sink is opened and checked.
pub struct PreparedRun<'a> {
    spec: RunSpec,
    /// Where the page of the run goes.
    #[cfg(feature = "report")]
    report: PathBuf,
    backend: Box<dyn EmbeddingBackend>,
    sinks: &'a Registry<SinkConfig, Box<dyn MonitorSink>>,
    /// Name of the sink among them.
    sink: String,
    sink_config: SinkConfig,
}

/// A run that is done.
#[derive(Debug, Clone, Serialize)]
pub struct FinishedRun {
    /// Its result.
    #[serde(flatten)]
    pub summary: RunSummary,
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
    /// As `precision`: those without options keep their id.
    #[serde(skip_serializing_if = "serde_json::Map::is_empty")]
    backend_options: &'a serde_json::Map<String, serde_json::Value>,
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

impl<'a> PreparedRun<'a> {
    /// Opens model, backend, sources and transforms, looks for the sink, and works out the run id. Nothing is written.
    ///
    /// # Errors
    /// `InvalidConfig` and others of what the settings name; each says which.
    pub fn new(
        settings: &Settings,
        components: &'a Components,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let Embedder {
            package,
            backend,
            schema,
            ..
        } = Embedder::open(&settings.embedder(), components, progress)?;
        let info = backend.info();
        let decode = DecodeOptions {
            shape: info.input,
            resize: package.preprocessing.resize,
        };
        let baseline = sources::open(&settings.baseline.source, &decode, progress)?;
        check_names(settings)?;
        let mut windows = Vec::new();
        for window in &settings.windows {
            let of = |error: Error| error.with("window", &window.name);
            windows.push(WindowSpec {
                name: window.name.clone(),
                source: sources::open(&window.source, &decode, progress).map_err(of)?,
                transforms: components.parse_transforms(&window.transform).map_err(of)?,
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
            schema,
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
                backend_options: &settings.backend.options,
                monitor: &monitor,
                input: format!("{:?}", package.preprocessing),
                seed: settings.run.seed,
                now: settings.run.now,
                baseline: &baseline.info().fingerprint,
                windows: windows.iter().map(identity).collect(),
            })?,
        };
        let sinks = &components.sinks;
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
            spec: RunSpec {
                run_id,
                now: settings.run.now.unwrap_or_else(Timestamp::now),
                store: store.clone(),
                monitor,
                baseline,
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
    ///
    /// # Errors
    /// `Interrupted` where `cancel` asked to stop: what was written is kept, and the same run goes on there. Others of
    /// reading, embedding and the sink.
    pub fn execute(mut self, cancel: &Cancel, progress: &dyn Progress) -> Result<FinishedRun> {
        let mut sink = self.sinks.build(&self.sink, &self.sink_config)?;
        monitors::remember(&self.spec.store, &self.spec.monitor)?;
        let backend = self.backend.as_mut();
        let summary = run(self.spec, backend, sink.as_mut(), cancel, progress)?;
        #[cfg(feature = "report")]
        driftline_rows::write_atomic(&self.report, driftline_report::page(&summary).as_bytes())?;
        Ok(FinishedRun {
            summary,
            #[cfg(feature = "report")]
            report: self.report,
        })
    }
}

fn identity(window: &WindowSpec) -> WindowIdentity {
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
