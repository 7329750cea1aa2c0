//! What is delivered at once: segments, each brought by one call, in batches, each taken in by one job.

use std::path::PathBuf;

use driftline_core::{Error, ErrorKind, EventLabel, Result, Rows};
use driftline_rows::RowsReader;

/// What rows are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Baseline,
    Events,
    Labels,
}

impl Kind {
    const ALL: [Self; 3] = [Self::Baseline, Self::Events, Self::Labels];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Baseline => "baseline",
            Kind::Events => "events",
            Kind::Labels => "labels",
        }
    }

    pub(crate) fn code(self) -> i64 {
        match self {
            Kind::Baseline => 0,
            Kind::Events => 1,
            Kind::Labels => 2,
        }
    }

    /// The kind of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn of(code: i64) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.code() == code);
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidData,
                "read the outbox",
                format!("it has rows of an unknown kind {code}"),
            )
            .remedy("a newer driftline may have written it; use that one")
        })
    }
}

/// What one job of the server takes.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) id: i64,
    pub(crate) kind: Kind,
    pub(crate) rows: u64,
    /// What the server calls the uploaded body.
    pub(crate) upload: Option<String>,
    /// The job that takes it in.
    pub(crate) job: Option<String>,
    pub(crate) segments: Vec<Segment>,
}

/// What one call brought.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) seq: i64,
    pub(crate) rows: u64,
    /// Its rows, for baseline and events.
    pub(crate) file: Option<PathBuf>,
    /// Pairs of event id and class in JSON, for labels.
    pub(crate) labels: Option<String>,
}

impl Batch {
    /// The rows, in the order they were accepted; none for labels.
    pub(crate) fn read(&self) -> impl Iterator<Item = Result<Rows>> + '_ {
        self.segments
            .iter()
            .filter_map(|segment| segment.file.as_deref())
            .flat_map(|file| {
                let (reader, failure) = match RowsReader::open(file) {
                    Ok(reader) => (Some(reader), None),
                    Err(error) => (None, Some(Err(error))),
                };
                failure.into_iter().chain(reader.into_iter().flatten())
            })
    }

    /// The labels, in the order they were accepted; none for rows.
    pub(crate) fn labels(&self) -> Result<Vec<EventLabel>> {
        let mut all = Vec::new();
        for text in self.segments.iter().filter_map(|s| s.labels.as_deref()) {
            let label = |(event_id, target)| EventLabel { event_id, target };
            all.extend(pairs(text)?.into_iter().map(label));
        }
        Ok(all)
    }
}

/// The pairs of event id and class in the labels of a segment.
pub(crate) fn pairs(labels: &str) -> Result<Vec<(String, String)>> {
    serde_json::from_str(labels).map_err(|cause| {
        let message = "labels are damaged";
        Error::new(ErrorKind::InvalidData, "read the outbox", message).because(cause)
    })
}
