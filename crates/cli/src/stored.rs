//! `labels` and `sink`: what comes after a run.

use std::path::{Path, PathBuf};

use driftline::core::{Ack, Error, ErrorKind, MonitorSink, MonitorSpec, SinkConfig};
use driftline::sink_fiddler::{self, Entry, outbox_folders};
use driftline::{Plugins, Settings, labels, monitors, registries};
use serde::Serialize;

use crate::args::{LabelsArgs, LabelsCommand, Output, SinkArgs, SinkCommand, StoredArgs};
use crate::flags::explain;
use crate::outcome::Outcome;
use crate::run::pairs;
use crate::table::Table;
use crate::{output, plugin};

const LOCAL: &str = "local";
/// The sink whose rows may wait on this machine.
const FIDDLER: &str = "fiddler";

/// The settings of an earlier run that its sink needs.
struct Stored {
    settings: Settings,
    plugins: Plugins,
}

impl Stored {
    /// `sink` is the default sink.
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
        let plugins = plugin::search(&settings.plugins)?;
        Ok(Self { settings, plugins })
    }

    fn store(&self) -> &Path {
        &self.settings.sink.store
    }

    /// The monitors that may have undelivered rows, and the error of an outbox that cannot be read, if there is one.
    fn waiting(&self) -> Result<(Vec<MonitorSpec>, Option<Error>), Error> {
        if self.settings.sink.name != FIDDLER {
            return Ok((monitors::all(self.store())?, None));
        }
        let mut waiting = Vec::new();
        let mut unreadable = None;
        for folder in outbox_folders(self.store())? {
            match sink_fiddler::outbox_status(&folder) {
                Ok(outbox) => waiting.extend(outbox.map(|outbox| outbox.monitor)),
                Err(error) => unreadable = unreadable.or(Some(error)),
            }
        }
        Ok((waiting, unreadable))
    }

    /// The sink for the rows of `monitor`.
    fn sink(&self, monitor: &MonitorSpec) -> Result<Box<dyn MonitorSink>, Error> {
        let config = SinkConfig {
            store: self.settings.sink.store.clone(),
            options: self.settings.sink.options.clone(),
            monitor: monitor.clone(),
        };
        registries::sinks(&self.plugins)?.build(&self.settings.sink.name, &config)
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
    /// Rows and labels that are damaged, in files that were moved aside.
    damaged: u64,
    damaged_files: Vec<PathBuf>,
    /// Why something waits.
    error: Option<String>,
}

/// List, retry, skip or deliver what waits for a sink.
pub fn sink(args: &SinkArgs, plugins: &[PathBuf], output: Output) -> anyhow::Result<Outcome> {
    match &args.command {
        SinkCommand::Flush(stored) => flush(&Stored::new(stored, FIDDLER, plugins)?, output),
        SinkCommand::List(stored) => list(&outbox_store(stored, plugins)?, output),
        SinkCommand::Retry { id, stored, .. } => {
            retry(&outbox_store(stored, plugins)?, id.as_deref(), output)
        }
        SinkCommand::Skip { id, stored } => skip(&outbox_store(stored, plugins)?, id, output),
    }
}

/// The store whose outboxes are meant; other sinks have none.
fn outbox_store(args: &StoredArgs, plugins: &[PathBuf]) -> Result<PathBuf, Error> {
    let stored = Stored::new(args, FIDDLER, plugins)?;
    let name = &stored.settings.sink.name;
    if name != FIDDLER {
        let message = format!("the sink `{name}` keeps no batches on this machine");
        return Err(
            Error::new(ErrorKind::InvalidConfig, "list batches", message)
                .remedy("batches wait for the sink `fiddler` alone"),
        );
    }
    Ok(stored.settings.sink.store)
}

/// Delivers what is left. One model that cannot be delivered does not keep the others from it.
fn flush(stored: &Stored, output: Output) -> anyhow::Result<Outcome> {
    let name = &stored.settings.sink.name;
    let mut flushed = Vec::new();
    let mut failed = None;
    let (waiting, unreadable) = stored.waiting()?;
    for monitor in waiting {
        let done = stored.sink(&monitor).and_then(|mut sink| sink.flush());
        flushed.push(Flushed {
            project: monitor.project,
            model: monitor.model,
            sink: name.clone(),
            queued: 0,
            dead: 0,
            damaged: 0,
            damaged_files: Vec::new(),
            error: done.as_ref().err().map(explain),
        });
        failed = failed.or(done.err());
    }
    if name == FIDDLER {
        for folder in outbox_folders(stored.store())? {
            let Ok(Some(outbox)) = sink_fiddler::outbox_status(&folder) else {
                continue;
            };
            let is_it = |done: &&mut Flushed| {
                done.project == outbox.monitor.project && done.model == outbox.monitor.model
            };
            if let Some(done) = flushed.iter_mut().find(is_it) {
                (done.queued, done.dead) = (outbox.queued, outbox.dead);
                (done.damaged, done.damaged_files) = (outbox.damaged, outbox.damaged_files);
            }
        }
    }
    failed = failed.or(unreadable);
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
    let mut table = Table::new([
        "project",
        "model",
        "sink",
        "waiting",
        "damaged",
        "dead letters",
    ]);
    for done in flushed {
        let [queued, damaged, dead] =
            [done.queued, done.damaged, done.dead].map(|rows| rows.to_string());
        table.add_row([
            &done.project,
            &done.model,
            &done.sink,
            &queued,
            &damaged,
            &dead,
        ]);
    }
    table.print()?;
    for file in flushed.iter().flat_map(|done| &done.damaged_files) {
        output::text(&format!("damaged: {}", file.display()))?;
    }
    Ok(())
}

/// Shows every batch.
fn list(store: &Path, output: Output) -> anyhow::Result<Outcome> {
    let entries = sink_fiddler::entries(store)?;
    if output.json {
        output::json(&entries)?;
    } else if entries.is_empty() {
        output::text(&format!("nothing waits in {}", store.display()))?;
    } else {
        for batches in entries.chunk_by(|a, b| (&a.project, &a.model) == (&b.project, &b.model)) {
            show_batches(batches)?;
        }
    }
    Ok(Outcome::Done)
}

/// Shows the batches of one model, and below them why their last attempt failed.
fn show_batches(batches: &[Entry]) -> anyhow::Result<()> {
    let mut table = Table::new(["id", "kind", "state", "rows", "tries", "next try"]);
    for batch in batches {
        let next = batch
            .next_try
            .map_or_else(String::new, |next| next.strftime("%F %TZ").to_string());
        table.add_row([
            batch.id.as_str(),
            &batch.kind,
            batch.state.name(),
            &batch.rows.to_string(),
            &batch.tries.to_string(),
            &next,
        ]);
    }
    if let Some(first) = batches.first() {
        output::text(&format!("{}/{}", first.project, first.model))?;
    }
    table.print()?;
    for batch in batches {
        if let Some(error) = &batch.error {
            output::text(&format!("{}: {error}", batch.id))?;
        }
    }
    Ok(())
}

/// Makes batches due now. A batch that cannot be sent again is reported, and the others are still retried.
fn retry(store: &Path, id: Option<&str>, output: Output) -> anyhow::Result<Outcome> {
    let retried = sink_fiddler::retry(store, id)?;
    let mut problems = retried.iter().filter_map(|one| {
        let problem = one.problem.as_deref()?;
        Some(format!("{} cannot be sent again: {problem}", one.entry.id))
    });
    if output.json {
        output::json(&retried)?;
    } else {
        let due = retried.iter().filter(|one| one.problem.is_none()).count();
        output::text(&format!(
            "{due} of {} batches are due now; `driftline sink flush` sends them",
            retried.len()
        ))?;
    }
    match problems.next() {
        Some(first) => {
            let others = match problems.count() {
                0 => String::new(),
                others => format!("; and {others} more"),
            };
            let message = format!("{first}{others}");
            Err(Error::new(ErrorKind::InvalidData, "send rows again", message).into())
        }
        None => Ok(Outcome::Done),
    }
}

/// Gives a batch up.
fn skip(store: &Path, id: &str, output: Output) -> anyhow::Result<Outcome> {
    let skipped = sink_fiddler::skip(store, id)?;
    if output.json {
        output::json(&skipped)?;
    } else {
        output::text(&format!(
            "{}: {}; the dead letter is {}",
            skipped.entry.id,
            skipped.lost,
            skipped.note.display()
        ))?;
    }
    Ok(Outcome::Done)
}
