//! A file of labels that came after their events.

use std::collections::BTreeMap;
use std::path::Path;

use driftline_plugin_sdk::core::{Ack, Error, ErrorKind, EventLabel, Result};
use serde::{Deserialize, Serialize};

use crate::lines::Lines;
use crate::rows::RowFile;

/// Labels, one object each; of several for one event the last one counts.
pub(crate) struct LabelFile {
    lines: Lines,
}

#[derive(Serialize, Deserialize)]
struct Line {
    event_id: String,
    target: String,
}

impl LabelFile {
    /// Opens or makes the file, and gives `events` their labels.
    pub(crate) fn open(path: &Path, events: &mut RowFile) -> Result<Self> {
        let lines = Lines::open(path, "label", |Line { event_id, target }| {
            events.relabel(&event_id, target);
        })?;
        Ok(Self { lines })
    }

    /// Appends the labels that change an event; they are on the disk when this returns, or none of them is.
    pub(crate) fn append(&mut self, labels: &[EventLabel], events: &mut RowFile) -> Result<Ack> {
        let last: BTreeMap<&str, &str> = labels
            .iter()
            .map(|label| (label.event_id.as_str(), label.target.as_str()))
            .collect();
        let changes: Vec<Line> = last
            .into_iter()
            .filter(|(event_id, target)| events.is_changed_by(event_id, target))
            .map(|(event_id, target)| Line {
                event_id: event_id.to_owned(),
                target: target.to_owned(),
            })
            .collect();
        let mut lines = Vec::new();
        for change in &changes {
            serde_json::to_writer(&mut lines, change).map_err(|cause| {
                Error::new(ErrorKind::Internal, "publish labels", "a label is no JSON")
                    .because(cause)
            })?;
            lines.push(b'\n');
        }
        if !lines.is_empty() {
            self.lines.append(&lines)?;
        }
        let accepted = changes.len() as u64;
        for Line { event_id, target } in changes {
            events.relabel(&event_id, target);
        }
        Ok(Ack {
            accepted,
            duplicates: labels.len() as u64 - accepted,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use driftline_plugin_sdk::core::{Row, RowSchema, RowsBuilder};

    use super::*;

    /// The files of a folder, with the events `a`, `b` (which is a cat) and `c`.
    fn open(folder: &Path) -> (RowFile, LabelFile) {
        let mut events = RowFile::open(&folder.join("events.jsonl")).unwrap();
        let mut rows = RowsBuilder::new(RowSchema::new(1, vec!["cat".to_owned()]).unwrap());
        for (event_id, target) in [("a", None), ("b", Some("cat")), ("c", None)] {
            let row = Row {
                event_id,
                timestamp_ms: 0,
                embedding: &[0.5],
                scores: &[0.5],
                target,
                image_url: "",
                image_number: 0,
                window: "week-1",
                properties: &[],
            };
            rows.push(&row).unwrap();
        }
        events.append(&rows.finish().unwrap()).unwrap();
        let labels = LabelFile::open(&folder.join("labels.jsonl"), &mut events).unwrap();
        (events, labels)
    }

    fn label(event_id: &str, target: &str) -> EventLabel {
        EventLabel {
            event_id: event_id.to_owned(),
            target: target.to_owned(),
        }
    }

    #[test]
    fn a_label_that_changes_nothing_is_a_duplicate_also_for_a_file_that_is_opened_later() {
        let folder = tempfile::tempdir().unwrap();
        let published = [
            label("a", "dog"),
            label("a", "cat"),
            label("b", "cat"),
            label("c", "dog"),
            label("none", "dog"),
        ];
        let (mut events, mut labels) = open(folder.path());
        let ack = labels.append(&published, &mut events).unwrap();
        assert_eq!((ack.accepted, ack.duplicates), (2, 3));
        let ack = labels.append(&published, &mut events).unwrap();
        assert_eq!((ack.accepted, ack.duplicates), (0, 5));
        drop((events, labels));
        let (mut events, mut labels) = open(folder.path());
        let again = [label("a", "cat"), label("c", "cat")];
        let ack = labels.append(&again, &mut events).unwrap();
        assert_eq!((ack.accepted, ack.duplicates), (1, 1));
        let text = std::fs::read_to_string(folder.path().join("labels.jsonl")).unwrap();
        let expected = [("a", "cat"), ("c", "dog"), ("c", "cat")]
            .map(|(id, target)| format!("{{\"event_id\":\"{id}\",\"target\":\"{target}\"}}\n"));
        assert_eq!(text, expected.concat());
    }
}
