//! `labels` and `sink`: what comes after a run.

use std::path::{Path, PathBuf};

use driftline::core::{Ack, Error, MonitorSink, MonitorSpec, SinkConfig};
use driftline::sink_fiddler::outboxes;
use driftline::{Plugins, Settings, labels, monitors, registries};
use serde::Serialize;

use crate::args::{LabelsArgs, LabelsCommand, Output, SinkArgs, SinkCommand, StoredArgs};
use crate::run::pairs;
use crate::{Outcome, output};

const LOCAL: &str = "local";
/// The sink whose rows may wait on this machine.
const FIDDLER: &str = "fiddler";

/// The settings of a run that was, as far as its sink needs them.
struct Stored {
    settings: Settings,
    plugins: Plugins,
}

impl Stored {
    /// `sink` is the one that is meant where nothing is said.
    fn new(args: &StoredArgs, sink: &str, plugin_path: &[PathBuf]) -> Result<Self, Error> {
        let mut overrides = pairs(&args.set)?;
        let mut add = |key: &str, value: Option<String>| {
            overrides.extend(value.map(|value| (key.to_owned(), value)));
        };
        add("sink.name", args.sink.clone());
        let store = args.store.as_ref();
        add("sink.store", store.map(|path| path.display().to_string()));
        let config = args.config.as_deref();
        let mut base = Settings::default();
        sink.clone_into(&mut base.sink.name);
        let mut settings = Settings::load(&base, config, &overrides)?;
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

    /// What may have rows left to deliver.
    fn waiting(&self) -> Result<Vec<MonitorSpec>, Error> {
        if self.settings.sink.name == FIDDLER {
            let outboxes = outboxes(self.store())?;
            return Ok(outboxes.into_iter().map(|outbox| outbox.monitor).collect());
        }
        monitors::all(self.store())
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
    let stored = Stored::new(stored, LOCAL, plugins)?;
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
    /// Rows and labels that still wait on this machine.
    queued: u64,
    /// Rows and labels that the server did not take, in the folder of dead letters.
    dead: u64,
    /// Why something waits.
    error: Option<String>,
}

/// Delivers what is left. One model that cannot be delivered does not keep the others from it.
pub fn sink(args: &SinkArgs, plugins: &[PathBuf], output: Output) -> anyhow::Result<Outcome> {
    let SinkCommand::Flush(stored) = &args.command;
    let stored = Stored::new(stored, FIDDLER, plugins)?;
    let name = &stored.settings.sink.name;
    let mut flushed = Vec::new();
    let mut failed = None;
    for monitor in stored.waiting()? {
        let done = stored.sink(&monitor).and_then(|mut sink| sink.flush());
        flushed.push(Flushed {
            project: monitor.project,
            model: monitor.model,
            sink: name.clone(),
            queued: 0,
            dead: 0,
            error: done.as_ref().err().map(Error::to_string),
        });
        failed = failed.or(done.err());
    }
    if name == FIDDLER {
        for (done, outbox) in flushed.iter_mut().zip(outboxes(stored.store())?) {
            (done.queued, done.dead) = (outbox.queued, outbox.dead);
        }
    }
    if output.json {
        output::json(&flushed)?;
    } else {
        show(&flushed, stored.store())?;
    }
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(Outcome::Done),
    }
}

fn show(flushed: &[Flushed], store: &Path) -> anyhow::Result<()> {
    if flushed.is_empty() {
        return output::text(&format!("nothing waits in {}", store.display()));
    }
    let mut table = output::table(["project", "model", "sink", "waiting", "dead letters"]);
    for done in flushed {
        let (queued, dead) = (done.queued.to_string(), done.dead.to_string());
        table.add_row([&done.project, &done.model, &done.sink, &queued, &dead]);
    }
    output::text(&table.to_string())
}
