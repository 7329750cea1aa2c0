//! Events that change after they were published: labels that came later, and deletions.

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::{Array, BooleanArray, RecordBatch, StringArray};
use arrow_select::filter::filter_record_batch;
use driftline_core::rows::{IMAGE_URL, TARGET};
use driftline_core::{Error, ErrorKind, Result, Rows};

/// New values for an event; `None` keeps the value there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventUpdate {
    /// Which event.
    pub event_id: String,
    /// True class.
    pub target: Option<String>,
    /// Address of the image.
    pub image_url: Option<String>,
}

/// Which events are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// Those with these `event_id`s.
    Ids(HashSet<String>),
    /// Those of this time range, in milliseconds since 1970-01-01T00:00:00Z.
    Times(Range<i64>),
}

impl Deletion {
    fn takes(&self, rows: &Rows, row: usize) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(rows.event_ids().value(row)),
            Self::Times(times) => times.contains(&rows.timestamps_ms()[row]),
        }
    }

    /// What is left of `rows`, and the number of rows that went; `None` if all of it is left.
    pub(crate) fn applied(&self, rows: &Rows) -> Result<Option<(RecordBatch, u64)>> {
        let kept: BooleanArray = (0..rows.len())
            .map(|row| Some(!self.takes(rows, row)))
            .collect();
        if kept.true_count() == rows.len() {
            return Ok(None);
        }
        let left = filter_record_batch(rows.batch(), &kept).map_err(defect)?;
        let gone = (rows.len() - left.num_rows()) as u64;
        Ok(Some((left, gone)))
    }
}

/// `rows` with the updates, and the number of rows that changed; `None` if none did.
pub(crate) fn updated(
    rows: &Rows,
    updates: &HashMap<&str, &EventUpdate>,
) -> Result<Option<(RecordBatch, u64)>> {
    let mut changed = 0;
    let (mut targets, mut urls) = (Vec::new(), Vec::new());
    for row in 0..rows.len() {
        let text =
            |column: &StringArray| (!column.is_null(row)).then(|| column.value(row).to_owned());
        let (target, url) = (text(rows.targets()), text(rows.image_urls()));
        let update = updates.get(rows.event_ids().value(row));
        let new_target = update.and_then(|update| update.target.clone());
        let new_url = update.and_then(|update| update.image_url.clone());
        let differs =
            (new_target.is_some() && new_target != target) || (new_url.is_some() && new_url != url);
        changed += u64::from(differs);
        targets.push(new_target.or(target));
        urls.push(new_url.or(url));
    }
    if changed == 0 {
        return Ok(None);
    }
    let batch = rows.batch();
    let columns = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .map(|(field, column)| match field.name().as_str() {
            TARGET => Arc::new(StringArray::from(std::mem::take(&mut targets))),
            IMAGE_URL => Arc::new(StringArray::from(std::mem::take(&mut urls))),
            _ => Arc::clone(column),
        })
        .collect();
    let batch = RecordBatch::try_new(batch.schema(), columns).map_err(defect)?;
    Ok(Some((batch, changed)))
}

fn defect(cause: arrow_schema::ArrowError) -> Error {
    Error::new(
        ErrorKind::Internal,
        "change events",
        "the changed rows could not be put together",
    )
    .because(cause)
}
