//! `labels` and `sink`: what comes after a run.

use std::path::{Path, PathBuf};

use driftline::core::{Ack, Error, MonitorSink, MonitorSpec, SinkConfig};
use driftline::{Plugins, Settings, labels, monitors, registries};
use serde::Serialize;

use crate::args::{LabelsArgs, LabelsCommand, Output, SinkArgs, SinkCommand, StoredArgs};
use crate::run::pairs;
use crate::{Outcome, output};

/// The settings of a run that was, as far as its sink needs them.
struct Stored {
    settings: Settings,
    plugins: Plugins,
}

impl Stored {
    fn new(args: &StoredArgs, plugin_path: &[PathBuf]) -> Result<Self, Error> {
        let mut overrides = pairs(&args.set)?;
        let mut add = |key: &str, value: Option<String>| {
            overrides.extend(value.map(|value| (key.to_owned(), value)));
        };
        add("sink.name", args.sink.clone());
        let store = args.store.as_ref();
        add("sink.store", store.map(|path| path.display().to_string()));
        let config = args.config.as_deref();
        let mut settings = Settings::load(&Settings::default(), config, &overrides)?;
        settings
            .plugins
            .path
            .splice(..0, plugin_path.iter().cloned());
        let plugins = Plugins::find(&settings.plugins)?;
        Ok(Self { settings, plugins })
    }

    fn store(&self) -> &Path {
        &self.settings.sink.store
    }

    /// The sink, ready for the rows of `monitor`.
    fn sink(&self, monitor: &MonitorSpec) -> Result<Box<dyn MonitorSink>, Error> {
        let config = SinkConfig {
            store: self.settings.sink.store.clone(),
            options: self.settings.sink.options.clone(),
        };
        let mut sink =
            registries::sinks(&self.plugins)?.build(&self.settings.sink.name, &config)?;
        sink.prepare(monitor)?;
        Ok(sink)
    }
}

#[derive(Serialize)]
struct Published {
    project: String,
    model: String,
    sink: String,
    location: String,
    labels: u64,
    changed: u64,
}

/// Publishes labels.
pub fn labels(args: &LabelsArgs, plugins: &[PathBuf], output: Output) -> anyhow::Result<Outcome> {
    let LabelsCommand::Publish {
        file,
        project,
        model_name,
        stored,
    } = &args.command;
    let stored = Stored::new(stored, plugins)?;
    let monitor = monitors::one(stored.store(), project.as_deref(), model_name.as_deref())?;
    // A label file that is wrong anywhere changes nothing.
    labels::read(file, |_| Ok(()))?;
    let mut sink = stored.sink(&monitor)?;
    let mut ack = Ack::default();
    labels::read(file, |labels| {
        ack += sink.publish_labels(labels)?;
        Ok(())
    })?;
    sink.flush()?;
    let published = Published {
        project: monitor.project,
        model: monitor.model,
        sink: sink.info().name.clone(),
        location: sink.info().location.clone(),
        labels: ack.accepted + ack.duplicates,
        changed: ack.accepted,
    };
    if output.json {
        output::json(&published)?;
    } else {
        output::text(&format!(
            "{} labels, {} of them new, for {}/{} in {}",
            published.labels,
            published.changed,
            published.project,
            published.model,
            published.location
        ))?;
    }
    Ok(Outcome::Done)
}

#[derive(Serialize)]
struct Flushed {
    project: String,
    model: String,
    sink: String,
    location: String,
}

/// Delivers what is left.
pub fn sink(args: &SinkArgs, plugins: &[PathBuf], output: Output) -> anyhow::Result<Outcome> {
    let SinkCommand::Flush(stored) = &args.command;
    let stored = Stored::new(stored, plugins)?;
    let mut flushed = Vec::new();
    for monitor in monitors::all(stored.store())? {
        let mut sink = stored.sink(&monitor)?;
        sink.flush()?;
        flushed.push(Flushed {
            project: monitor.project,
            model: monitor.model,
            sink: sink.info().name.clone(),
            location: sink.info().location.clone(),
        });
    }
    if output.json {
        output::json(&flushed)?;
    } else if flushed.is_empty() {
        output::text("nothing was run into this store yet")?;
    }
    for done in flushed.iter().filter(|_| !output.json) {
        output::text(&format!(
            "{}/{}: everything is in {}",
            done.project, done.model, done.location
        ))?;
    }
    Ok(Outcome::Done)
}
