//! What every sink must do. Each case works on a project of its own, so that one place can take them all.

use std::ops::Range;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use driftline_core::sink::ImageEmbedding;
use driftline_core::{
    Ack, ErrorKind, EventLabel, MonitorSink, MonitorSpec, Result, Row, RowSchema, RowsBuilder,
    rows::EMBEDDINGS, rows::IMAGE_URL,
};
use serde_json::{Map, Value, json};

use crate::case::{self, Case, Stop, require};
use crate::report::{CaseReport, ComponentReport, Kind};

/// A sink's constructor; it is given the options, and what the rows belong to.
pub type Make<'a> = dyn Fn(&Map<String, Value>, &MonitorSpec) -> Result<Box<dyn MonitorSink>> + 'a;

/// A requirement on sinks.
pub type SinkCase = Case<fn(&Context<'_>) -> Result<(), Stop>>;

/// What a case works with.
pub struct Context<'a> {
    name: &'a str,
    options: &'a Map<String, Value>,
    make: &'a Make<'a>,
    /// Name of the project that the case has for itself.
    project: String,
}

const CLASSES: [&str; 2] = ["cat", "dog"];
const DIM: usize = 4;

/// Every case, in the order they run.
pub const CASES: [SinkCase; 8] = [
    Case::new(
        "info_is_filled_in",
        "its name is the one it was asked for by, and it says where rows end up",
        info,
    ),
    Case::new(
        "rows_are_accepted",
        "rows of the baseline and events are counted as new, and flushed",
        accepted,
    ),
    Case::new(
        "again_is_a_duplicate",
        "a row that is there already changes nothing and counts as a duplicate, beside new ones too",
        duplicates,
    ),
    Case::new(
        "known_after_reopening",
        "what was accepted is known to a sink that is opened later",
        reopened,
    ),
    Case::new("no_rows", "no row is no work", no_rows),
    Case::new(
        "another_schema_is_refused",
        "a monitor that is known with another schema is refused",
        another_schema,
    ),
    Case::new(
        "labels_are_counted",
        "labels of events are counted as new, or refused as not supported, and events go on",
        labels,
    ),
    Case::new(
        "unknown_option_is_refused",
        "an option that there is not is refused by name",
        unknown_option,
    ),
];

/// Runs every case against the sink `name` with `options`; `started` is told the name of each case before it runs.
///
/// Rows are left where the sink puts them, in projects named `conformance-…`.
pub fn run(
    name: &str,
    options: &Map<String, Value>,
    make: &Make<'_>,
    started: &dyn Fn(&'static str),
) -> ComponentReport {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let results = CASES.iter().map(|case| {
        started(case.name);
        let context = Context {
            name,
            options,
            make,
            project: format!("conformance-{}-{}", now.as_nanos(), case.name),
        };
        CaseReport {
            case: case.name,
            outcome: case::outcome(case.needs, None, || (case.run)(&context)),
        }
    });
    ComponentReport::new(Kind::Sink, name, results.collect(), None)
}

impl Context<'_> {
    fn open(&self) -> Result<Box<dyn MonitorSink>, Stop> {
        (self.make)(self.options, &self.monitor(DIM)?)
            .map_err(|error| format!("it cannot be opened: {error}").into())
    }

    fn monitor(&self, dim: usize) -> Result<MonitorSpec, String> {
        let classes = CLASSES.map(str::to_owned).to_vec();
        Ok(MonitorSpec {
            project: self.project.clone(),
            dataset: "conformance".to_owned(),
            model: "model".to_owned(),
            model_sha256: "0".repeat(64),
            schema: RowSchema::new(dim, classes).map_err(|error| error.to_string())?,
            custom_feature: ImageEmbedding {
                name: "image_feature".to_owned(),
                source_column: IMAGE_URL.to_owned(),
                column: EMBEDDINGS.to_owned(),
                n_clusters: 5,
            },
        })
    }

    fn rows(&self, numbers: Range<i64>) -> Result<RecordBatch, String> {
        let schema = self.monitor(DIM)?.schema;
        let mut builder = RowsBuilder::new(schema);
        for number in numbers {
            let value = number as f32;
            builder
                .push(&Row {
                    event_id: &format!("{}-{number}", self.project),
                    timestamp_ms: 1_700_000_000_000 + 3_600_000 * number,
                    embedding: &[value, -0.5, 1e-7, 0.1],
                    scores: &[0.25, 0.75],
                    target: (number % 2 == 0).then_some(CLASSES[1]),
                    image_url: &format!("file:///images/{number} \"ä\".png"),
                    image_number: number,
                    window: "week-1",
                    properties: &[],
                })
                .map_err(|error| error.to_string())?;
        }
        builder.finish().map_err(|error| error.to_string())
    }
}

fn expect(what: &str, found: Result<Ack>, accepted: u64, duplicates: u64) -> Result<(), String> {
    let found = found.map_err(|error| format!("{what}: {error}"))?;
    let expected = Ack {
        accepted,
        duplicates,
    };
    require(found == expected, || {
        format!(
            "{what}: {} new and {} known, expected {accepted} and {duplicates}",
            found.accepted, found.duplicates
        )
    })
}

fn info(context: &Context<'_>) -> Result<(), Stop> {
    let sink = context.open()?;
    let info = sink.info();
    require(info.name == context.name, || {
        format!("it is `{}`, not `{}`", info.name, context.name)
    })?;
    require(!info.location.is_empty(), || {
        "it does not say where rows end up".to_owned()
    })?;
    Ok(())
}

fn accepted(context: &Context<'_>) -> Result<(), Stop> {
    let mut sink = context.open()?;
    expect(
        "baseline",
        sink.publish_baseline(&context.rows(0..5)?),
        5,
        0,
    )?;
    expect(
        "events",
        sink.publish_events(&context.rows(100..350)?),
        250,
        0,
    )?;
    sink.flush().map_err(|error| format!("flush: {error}"))?;
    Ok(())
}

fn duplicates(context: &Context<'_>) -> Result<(), Stop> {
    let mut sink = context.open()?;
    expect("events", sink.publish_events(&context.rows(0..6)?), 6, 0)?;
    expect("the same", sink.publish_events(&context.rows(0..6)?), 0, 6)?;
    expect("a part", sink.publish_events(&context.rows(3..9)?), 3, 3)?;
    expect(
        "baseline",
        sink.publish_baseline(&context.rows(20..22)?),
        2,
        0,
    )?;
    expect(
        "the same",
        sink.publish_baseline(&context.rows(20..22)?),
        0,
        2,
    )?;
    Ok(())
}

fn reopened(context: &Context<'_>) -> Result<(), Stop> {
    let mut sink = context.open()?;
    expect("events", sink.publish_events(&context.rows(0..6)?), 6, 0)?;
    // Without flush: what was accepted survives the end of the process.
    drop(sink);
    let mut sink = context.open()?;
    expect("reopened", sink.publish_events(&context.rows(4..8)?), 2, 2)?;
    Ok(())
}

fn no_rows(context: &Context<'_>) -> Result<(), Stop> {
    let mut sink = context.open()?;
    expect("no events", sink.publish_events(&context.rows(0..0)?), 0, 0)?;
    expect(
        "no baseline",
        sink.publish_baseline(&context.rows(0..0)?),
        0,
        0,
    )?;
    Ok(())
}

fn another_schema(context: &Context<'_>) -> Result<(), Stop> {
    let mut sink = context.open()?;
    expect("events", sink.publish_events(&context.rows(0..2)?), 2, 0)?;
    drop(sink);
    match (context.make)(context.options, &context.monitor(DIM + 1)?) {
        Ok(_) => Err("embeddings of another length are accepted"
            .to_owned()
            .into()),
        Err(_) => Ok(()),
    }
}

fn labels(context: &Context<'_>) -> Result<(), Stop> {
    let mut sink = context.open()?;
    expect("events", sink.publish_events(&context.rows(0..4)?), 4, 0)?;
    // Events that have none.
    let labels = [1, 3].map(|number| EventLabel {
        event_id: format!("{}-{number}", context.project),
        target: CLASSES[0].to_owned(),
    });
    match sink.publish_labels(&labels) {
        Err(error) if error.kind() == ErrorKind::Unsupported => {}
        published => expect("labels", published, 2, 0)?,
    }
    expect("more", sink.publish_events(&context.rows(4..6)?), 2, 0)?;
    Ok(())
}

fn unknown_option(context: &Context<'_>) -> Result<(), Stop> {
    let mut options = context.options.clone();
    options.insert("no_such_option".to_owned(), json!(1));
    match (context.make)(&options, &context.monitor(DIM)?) {
        Ok(_) => Err("`no_such_option` is accepted".to_owned().into()),
        Err(error) => {
            let message = error.to_string();
            require(message.contains("no_such_option"), || {
                format!("`no_such_option` is refused without its name: {message}")
            })?;
            Ok(())
        }
    }
}
