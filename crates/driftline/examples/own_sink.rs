//! A sink of one's own: it counts rows, and keeps none of them.

use std::collections::HashSet;
use std::error::Error;

use driftline::arrow_array::RecordBatch;
use driftline::core::{
    Ack, MonitorSink, MonitorSpec, Registration, Result, Rows, SinkConfig, SinkInfo,
};
use driftline::pipeline::Cancel;
use driftline::{Components, QuickstartOptions, Settings, run};

struct Counter {
    info: SinkInfo,
    /// What it has: a run that goes on after a stop publishes again.
    seen: HashSet<String>,
}

impl Counter {
    fn open(config: &SinkConfig) -> Self {
        let MonitorSpec { project, model, .. } = &config.monitor;
        println!("rows of {project}/{model}");
        Self {
            info: SinkInfo {
                name: "counter".to_owned(),
                location: "nowhere".to_owned(),
            },
            seen: HashSet::new(),
        }
    }

    fn count(&mut self, rows: &RecordBatch) -> Result<Ack> {
        let rows = Rows::new(rows.clone())?;
        let mut ack = Ack::default();
        for id in rows.event_ids().iter().flatten() {
            if self.seen.insert(id.to_owned()) {
                ack.accepted += 1;
            } else {
                ack.duplicates += 1;
            }
        }
        Ok(ack)
    }
}

impl MonitorSink for Counter {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.count(rows)
    }

    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.count(rows)
    }

    fn flush(&mut self) -> Result<()> {
        println!("{} rows in all", self.seen.len());
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut components = Components::built_in()?;
    components.sinks.register(Registration::built_in(
        "counter",
        &[],
        "counts rows",
        |config| Ok(Box::new(Counter::open(config)) as _),
    ))?;

    let store = tempfile::tempdir()?;
    let mut settings = Settings::quickstart(&QuickstartOptions {
        per_day: 50,
        ..QuickstartOptions::default()
    })?;
    settings.sink.name = "counter".to_owned();
    // What a stopped run needs to go on is kept here.
    settings.sink.store = store.path().to_owned();
    let finished = run(&settings, &components, &Cancel::default(), &())?;
    for window in &finished.summary.windows {
        println!("{}: {} published", window.name, window.published);
    }
    Ok(())
}
