//! The outbox of the sink `fiddler`, and a server that takes what it delivers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::Range;
use std::path::Path;

use driftline_core::{MonitorSink, Result, SinkConfig};
use driftline_faults::record::mark;
use driftline_sink_fiddler::{FiddlerSink, outboxes};
use serde_json::json;

use self::fake::{Fake, Fault};
use super::Progress;
use super::store::{id, labels, rows, spec};

// The tests of the sink use the rest of it.
#[allow(dead_code)]
#[path = "../../../../sinks/fiddler/tests/it/common/fake.rs"]
pub mod fake;

pub const TOKEN: &str = "tok-9c1f-secret";

/// One call.
#[derive(Debug, Clone)]
pub enum Step {
    Baseline(Range<usize>),
    Events(Range<usize>),
    Labels(Range<usize>),
    Flush,
}

pub fn script() -> Vec<Step> {
    vec![
        Step::Baseline(0..10),
        Step::Events(0..20),
        Step::Events(15..40),
        Step::Labels(0..5),
        Step::Flush,
    ]
}

/// A sink to the server at `url`.
pub fn sink(folder: &Path, url: &str) -> Result<FiddlerSink> {
    let mut token = tempfile::NamedTempFile::new().unwrap();
    token.write_all(TOKEN.as_bytes()).unwrap();
    let mut config = SinkConfig::new(folder.to_owned(), spec());
    let options = json!({
        "url": url,
        "token_file": token.path().display().to_string(),
        "answer_seconds": 5,
        "retry_seconds": 5,
        "job_seconds": 5,
    });
    config.options = options.as_object().unwrap().clone();
    FiddlerSink::open(&config)
}

impl Step {
    pub fn run(&self, sink: &mut FiddlerSink) -> Result<()> {
        match self {
            Self::Baseline(range) => sink.publish_baseline(&rows(range.clone())).map(drop),
            Self::Events(range) => sink.publish_events(&rows(range.clone())).map(drop),
            Self::Labels(range) => sink.publish_labels(&labels(range.clone(), "cat")).map(drop),
            Self::Flush => sink.flush(),
        }
    }
}

/// A server whose jobs are done at once. With a log, it notes there that it made the model, and each batch that it took.
pub fn server(log: Option<&Path>) -> Fake {
    let fake = Fake::start();
    let log = log.map(Path::to_owned);
    let mut batches = 0;
    fake.on(move |request| {
        if let Some(log) = &log {
            if request.is("POST", "/v3/models") {
                mark(log, "model").unwrap();
            }
            if request.is("POST", "/v3/events") || request.is("PATCH", "/v3/events") {
                batches += 1;
                mark(log, format!("taken {batches}")).unwrap();
            }
        }
        let job = request.path.strip_prefix("/v3/jobs/")?;
        let done = json!({"data": {
            "id": job, "uuid": job, "name": "a job", "info": {}, "status": "SUCCESS",
            "progress": 100.0, "error_message": null, "error_reason": null,
        }});
        Some(Fault::Answer(200, Vec::new(), done.to_string()))
    });
    fake
}

/// The rows that accepted steps bring.
struct Wanted {
    baseline: BTreeSet<usize>,
    events: BTreeSet<usize>,
    labels: BTreeSet<usize>,
}

impl Wanted {
    fn of(steps: &[Step]) -> Self {
        let mut wanted = Self {
            baseline: BTreeSet::new(),
            events: BTreeSet::new(),
            labels: BTreeSet::new(),
        };
        for step in steps {
            match step {
                Step::Baseline(range) => wanted.baseline.extend(range.clone()),
                Step::Events(range) => wanted.events.extend(range.clone()),
                Step::Labels(range) => wanted.labels.extend(range.clone()),
                Step::Flush => {}
            }
        }
        wanted
    }
}

fn all_there(
    what: &str,
    wanted: &BTreeSet<usize>,
    found: &BTreeMap<String, usize>,
    least: usize,
) -> Result<(), String> {
    let times = |row: &usize| found.get(&id(*row)).copied().unwrap_or(0);
    let lost: Vec<_> = wanted.iter().filter(|row| times(row) < least).collect();
    match lost.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "{what} that were accepted did not arrive: {lost:?}"
        )),
    }
}

/// That every event and every row of the baseline arrived once.
pub fn once(fake: &Fake, most: usize) -> Result<(), String> {
    for (what, found) in [("event", fake.events()), ("baseline row", fake.baseline())] {
        if let Some((id, times)) = found.iter().find(|(_, times)| **times > most) {
            return Err(format!("{what} {id} arrived {times} times"));
        }
    }
    Ok(())
}

/// That the server has all of the script.
pub fn complete(fake: &Fake) -> Result<(), String> {
    let wanted = Wanted::of(&script());
    all_there("events", &wanted.events, &fake.events(), 1)?;
    all_there("baseline rows", &wanted.baseline, &fake.baseline(), 1)?;
    let labels = fake.labels().into_keys().map(|id| (id, 1)).collect();
    all_there("labels", &wanted.labels, &labels, 1)
}

/// That nothing waits, and nothing was given up.
pub fn empty(folder: &Path) -> Result<(), String> {
    for outbox in outboxes(folder).map_err(|e| format!("status: {e}"))? {
        if outbox.queued > 0 || outbox.dead > 0 {
            return Err(format!(
                "{} rows wait and {} are given up",
                outbox.queued, outbox.dead
            ));
        }
    }
    Ok(())
}

/// That an outbox with this history delivers what was accepted and was not taken yet, and that the rest of the script
/// completes it.
pub fn check(folder: &Path, progress: &Progress) -> Result<(), String> {
    let script = script();
    let taken = |number: usize| progress.notes.contains(&format!("taken {number}"));
    let fake = server(None);
    let primed = progress.notes.contains("model");
    if primed {
        // The server had made its model of the baseline.
        let other = super::folder();
        let mut sink = sink(other.path(), &fake.url).map_err(|e| format!("prime: {e}"))?;
        script[0]
            .run(&mut sink)
            .and_then(|()| sink.flush())
            .map_err(|e| format!("prime: {e}"))?;
    }
    let mut sink = sink(folder, &fake.url).map_err(|e| format!("prepare: {e}"))?;
    sink.flush().map_err(|e| format!("flush: {e}"))?;

    let accepted = Wanted::of(&script[..progress.acknowledged]);
    let begun = Wanted::of(&script[..progress.acknowledged + usize::from(progress.begun)]);
    if !taken(1) {
        let least = 1 + usize::from(primed);
        all_there("baseline rows", &accepted.baseline, &fake.baseline(), least)?;
    }
    if !taken(2) {
        all_there("events", &accepted.events, &fake.events(), 1)?;
    }
    if !taken(3) {
        let labels = fake.labels().into_keys().map(|id| (id, 1)).collect();
        all_there("labels", &accepted.labels, &labels, 1)?;
    }
    for id in fake.events().keys() {
        let row: usize = id.rsplit('-').next().unwrap().parse().unwrap();
        if !begun.events.contains(&row) {
            return Err(format!("event {id} arrived, which was never published"));
        }
    }
    for step in &script[progress.acknowledged..] {
        step.run(&mut sink)
            .map_err(|e| format!("{step:?} again: {e}"))?;
    }
    sink.flush().map_err(|e| format!("the last flush: {e}"))?;
    // What was taken before the cut may come once more, and what primed the server came before.
    once(&fake, 1 + usize::from(primed))?;
    if !taken(1) {
        complete(&fake)?;
    }
    empty(folder)
}
