//! The store on this machine: what is done to it, and what must be in it then.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;

use arrow_array::{Array, RecordBatch};
use driftline_core::sink::ImageEmbedding;
use driftline_core::{
    ErrorKind, EventLabel, MonitorSink, MonitorSpec, Result, Row, RowSchema, RowsBuilder,
    SinkConfig,
};
use driftline_sink_local::{Centroids, Deletion, LocalSink, Store, write_clusters};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Progress;

pub const DIM: usize = 4;
pub const PER_DAY: usize = 10;
const DAY_MS: i64 = 86_400_000;
/// 2026-11-01T00:00:00Z.
const START_MS: i64 = 1_793_491_200_000;

/// One call.
#[derive(Debug, Clone)]
pub enum Step {
    Baseline(Range<usize>),
    Events(Range<usize>),
    Labels(Range<usize>, &'static str),
    DeleteIds(Range<usize>),
    DeleteDays(Range<i64>),
    Clusters,
}

/// Every kind of call; later ones make files that earlier ones had made, byte by byte.
pub fn script() -> Vec<Step> {
    vec![
        Step::Baseline(0..12),
        Step::Events(0..25),
        Step::Labels(3..14, "cat"),
        Step::Events(25..38),
        Step::DeleteIds(30..38),
        Step::Events(30..38),
        Step::Clusters,
        Step::Labels(0..38, "dog"),
        Step::Labels(0..38, "cat"),
        Step::Labels(0..38, "dog"),
        Step::DeleteDays(2..3),
        Step::Events(18..40),
    ]
}

/// A script by lot; 0 is [`script`].
pub fn script_by_lot(seed: u64) -> Vec<Step> {
    if seed == 0 {
        return script();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut range = |most: usize| {
        let start = random.random_range(0..60);
        start..start + random.random_range(1..=most)
    };
    let mut steps = Vec::new();
    for _ in 0..16 {
        let chosen = range(30);
        steps.push(match range(1).start % 8 {
            0 => Step::Baseline(chosen),
            1 => Step::Labels(chosen, "cat"),
            2 => Step::Labels(chosen, "dog"),
            3 => Step::DeleteIds(range(12)),
            4 => {
                let day = (chosen.start / PER_DAY) as i64;
                Step::DeleteDays(day..day + 1)
            }
            _ => Step::Events(chosen),
        });
    }
    steps
}

pub fn spec() -> MonitorSpec {
    MonitorSpec {
        project: "p".to_owned(),
        dataset: "baseline".to_owned(),
        model: "m".to_owned(),
        model_sha256: "ab".repeat(32),
        schema: RowSchema::new(DIM, vec!["cat".to_owned(), "dog".to_owned()]).unwrap(),
        custom_feature: ImageEmbedding {
            name: "image".to_owned(),
            source_column: "image_url".to_owned(),
            column: "embeddings".to_owned(),
            n_clusters: 2,
        },
    }
}

pub fn id(row: usize) -> String {
    format!("run-week-1-{row:08}")
}

fn first_label(row: usize) -> Option<&'static str> {
    (!row.is_multiple_of(5)).then_some("dog")
}

pub fn embedding(row: usize) -> Vec<f32> {
    (0..DIM)
        .map(|d| ((row * 31 + d * 7) % 97) as f32 / 9.0)
        .collect()
}

pub fn rows(range: Range<usize>) -> RecordBatch {
    let mut builder = RowsBuilder::new(spec().schema);
    for row in range {
        builder
            .push(&Row {
                event_id: &id(row),
                timestamp_ms: START_MS + (row / PER_DAY) as i64 * DAY_MS + (row % PER_DAY) as i64,
                embedding: &embedding(row),
                scores: &[0.25, 0.75],
                target: first_label(row),
                image_url: "a.png",
                image_number: row as i64,
                window: "week-1",
                properties: &[],
            })
            .unwrap();
    }
    builder.finish().unwrap()
}

pub fn labels(range: Range<usize>, target: &str) -> Vec<EventLabel> {
    let label = |row| EventLabel {
        event_id: id(row),
        target: target.to_owned(),
    };
    range.map(label).collect()
}

pub fn sink(folder: &Path) -> Result<LocalSink> {
    LocalSink::open(&SinkConfig::new(folder.to_owned(), spec()))
}

impl Step {
    pub fn run(&self, folder: &Path, sink: &mut LocalSink) -> Result<()> {
        match self {
            Self::Baseline(range) => sink.publish_baseline(&rows(range.clone())).map(drop),
            Self::Events(range) => sink.publish_events(&rows(range.clone())).map(drop),
            Self::Labels(range, target) => sink
                .publish_labels(&labels(range.clone(), target))
                .map(drop),
            Self::DeleteIds(range) => {
                let ids = range.clone().map(id).collect();
                sink.delete_events(&Deletion::Ids(ids)).map(drop)
            }
            Self::DeleteDays(days) => {
                let ms = |day: i64| START_MS + day * DAY_MS;
                let times = ms(days.start)..ms(days.end);
                sink.delete_events(&Deletion::Times(times)).map(drop)
            }
            Self::Clusters => {
                let values = (0..2 * DIM).map(|i| i as f32).collect();
                write_clusters(folder, "p", "m", &Centroids { dim: DIM, values })
            }
        }
    }
}

/// What is in a store.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Content {
    pub baseline: BTreeSet<usize>,
    pub events: BTreeMap<usize, Option<String>>,
    pub clusters: bool,
}

impl Content {
    /// After these steps.
    pub fn after(steps: &[Step]) -> Self {
        let mut content = Self::default();
        for step in steps {
            match step {
                Step::Baseline(range) => content.baseline.extend(range.clone()),
                Step::Events(range) => {
                    for row in range.clone() {
                        let first = first_label(row).map(str::to_owned);
                        content.events.entry(row).or_insert(first);
                    }
                }
                Step::Labels(range, target) => {
                    for (_, label) in content.events.range_mut(range.clone()) {
                        *label = Some((*target).to_owned());
                    }
                }
                Step::DeleteIds(range) => content.events.retain(|row, _| !range.contains(row)),
                Step::DeleteDays(days) => content
                    .events
                    .retain(|row, _| !days.contains(&((row / PER_DAY) as i64))),
                Step::Clusters => content.clusters = true,
            }
        }
        content
    }

    /// What a reader finds; the second value names the files that are damaged.
    pub fn read(folder: &Path) -> Result<(Self, Vec<String>), String> {
        let store = match Store::open(folder, "p", "m") {
            Ok(store) => store,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Default::default()),
            Err(error) => return Err(error.to_string()),
        };
        let mut content = Self {
            clusters: store.clusters().map_err(|e| e.to_string())?.is_some(),
            ..Self::default()
        };
        let mut damaged = Vec::new();
        let mut baseline = store.baseline().map_err(|e| e.to_string())?;
        for rows in baseline.by_ref() {
            let rows = rows.map_err(|e| e.to_string())?;
            for row in whole_rows(&rows)? {
                if !content.baseline.insert(row.0) {
                    return Err(format!("row {} of the baseline is there twice", row.0));
                }
            }
        }
        damaged.extend(baseline.damaged().iter().map(ToString::to_string));
        let mut events = store.events(..).map_err(|e| e.to_string())?;
        for rows in events.by_ref() {
            let rows = rows.map_err(|e| e.to_string())?;
            for (row, label) in whole_rows(&rows)? {
                if content.events.insert(row, label).is_some() {
                    return Err(format!("event {row} is there twice"));
                }
            }
        }
        damaged.extend(events.damaged().iter().map(ToString::to_string));
        Ok((content, damaged))
    }

    /// Reads a store in which nothing may be damaged.
    pub fn undamaged(folder: &Path) -> Result<Self, String> {
        let (content, damaged) = Self::read(folder)?;
        match damaged.is_empty() {
            true => Ok(content),
            false => Err(format!("damaged: {}", damaged.join("; "))),
        }
    }

    /// That this is what `progress` steps of `script` leave, or of the step that was begun a part, as far as that step may
    /// be done in part.
    pub fn fits(&self, script: &[Step], progress: &Progress) -> Result<(), String> {
        let done = Self::after(&script[..progress.acknowledged]);
        if *self == done {
            return Ok(());
        }
        if progress.begun {
            let next = Self::after(&script[..=progress.acknowledged]);
            let publishes = matches!(
                script[progress.acknowledged],
                Step::Events(_) | Step::Baseline(_)
            );
            if *self == next || (publishes && self.is_between(&done, &next)) {
                return Ok(());
            }
        }
        Err(format!("there is {self:?}, acknowledged was {done:?}"))
    }

    fn is_between(&self, least: &Self, most: &Self) -> bool {
        let inside = |a: &Self, b: &Self| {
            a.baseline.is_subset(&b.baseline)
                && a.events
                    .iter()
                    .all(|(row, label)| b.events.get(row) == Some(label))
        };
        inside(least, self) && inside(self, most)
    }
}

/// Row numbers and labels; every other value must be what was written.
fn whole_rows(rows: &driftline_core::Rows) -> Result<Vec<(usize, Option<String>)>, String> {
    let mut found = Vec::new();
    for at in 0..rows.len() {
        let row = rows.image_numbers()[at] as usize;
        let right = rows.event_ids().value(at) == id(row)
            && rows.embeddings()[at * DIM..(at + 1) * DIM] == embedding(row)
            && rows.scores(1)[at] == 0.75;
        if !right {
            return Err(format!("row {row} has other values than were published"));
        }
        let label = rows.targets();
        found.push((row, label.is_valid(at).then(|| label.value(at).to_owned())));
    }
    Ok(found)
}

/// That a store with this history is whole: readers see what was acknowledged, so does the next writer, and the rest of
/// the script completes it.
pub fn check(folder: &Path, script: &[Step], progress: &Progress) -> Result<(), String> {
    Content::undamaged(folder)
        .and_then(|content| content.fits(script, progress))
        .map_err(|text| format!("a reader: {text}"))?;
    let mut sink = sink(folder).map_err(|e| format!("prepare: {e}"))?;
    Content::undamaged(folder)
        .and_then(|content| content.fits(script, progress))
        .map_err(|text| format!("after prepare: {text}"))?;
    for step in &script[progress.acknowledged..] {
        step.run(folder, &mut sink)
            .map_err(|e| format!("{step:?} again: {e}"))?;
    }
    if !sink.damaged().is_empty() {
        return Err(format!("the sink met damage: {:?}", sink.damaged()));
    }
    let content = Content::undamaged(folder)?;
    let wanted = Content::after(script);
    match content == wanted {
        true => Ok(()),
        false => Err(format!("in the end there is {content:?}, not {wanted:?}")),
    }
}
