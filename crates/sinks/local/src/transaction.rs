//! Rows of many calls that become visible together.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use driftline_core::{Ack, Error, ErrorKind, Result, RowSchema, Rows};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::damage::{Damage, Fault};
use crate::journal::Change;
use crate::layout::{staged, unstaged};
use crate::lock::Lock;
use crate::merge::{self, PART_BYTES};
use crate::sink::Opened;
use crate::store::{Part, Section};

/// The set that rows belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rowset {
    Baseline,
    Events,
}

impl Rowset {
    /// Whether a part file of this section has such rows.
    pub(crate) fn has(self, section: Section) -> bool {
        (section == Section::Baseline) == (self == Self::Baseline)
    }
}

/// What one id takes in memory beside its bytes, about.
const ID_BYTES: usize = 64;

/// Rows that become visible in one step, by [`commit`](Self::commit); dropped before, none of them is kept.
///
/// # Behavior
/// - Rows that the store has, or that came before in the same transaction, are dropped and counted as duplicates.
/// - At most about 64 MiB of rows are held in memory, and one file is written at a time; a transaction leaves few files
///   for each date however many calls bring its rows.
/// - No other process writes rows of this model before it ends.
#[derive(Debug)]
pub struct Transaction<'s> {
    opened: &'s mut Opened,
    damaged: &'s mut Vec<Damage>,
    rowset: Rowset,
    /// Of the store, when it began.
    parts: Vec<Part>,
    /// Rows that no file has yet.
    waiting: BTreeMap<Section, Vec<RecordBatch>>,
    waiting_ids: HashSet<String>,
    waiting_bytes: usize,
    /// Files of this transaction, still hidden.
    hidden: Vec<Part>,
    ack: Ack,
    // Dropped in this order: what is not committed goes before others may write.
    change: Change,
    _lock: Lock,
}

impl<'s> Transaction<'s> {
    pub(crate) fn begin(
        opened: &'s mut Opened,
        damaged: &'s mut Vec<Damage>,
        rowset: Rowset,
    ) -> Result<Self> {
        let lock = Lock::acquire(&opened.layout)?;
        let parts = opened.layout.parts(|section| rowset.has(section))?;
        Self::over(opened, damaged, rowset, parts, lock)
    }

    /// A transaction in a store that has `parts`.
    pub(crate) fn over(
        opened: &'s mut Opened,
        damaged: &'s mut Vec<Damage>,
        rowset: Rowset,
        mut parts: Vec<Part>,
        lock: Lock,
    ) -> Result<Self> {
        let Opened {
            layout,
            schema,
            catalog,
        } = &mut *opened;
        damaged.extend(catalog.refresh(layout, schema, &parts)?);
        parts.retain(|part| catalog.size(&part.path).is_some());
        Ok(Self {
            change: Change::new(layout),
            opened,
            damaged,
            rowset,
            parts,
            waiting: BTreeMap::new(),
            waiting_ids: HashSet::new(),
            waiting_bytes: 0,
            hidden: Vec::new(),
            ack: Ack::default(),
            _lock: lock,
        })
    }

    /// Adds rows. What is returned counts once [`commit`](Self::commit) has returned.
    ///
    /// # Errors
    /// `InvalidData` for rows that do not fit the store, otherwise those of the file system. The transaction can then only
    /// be dropped: whatever it holds is incomplete.
    pub fn add(&mut self, rows: &RecordBatch) -> Result<Ack> {
        let rows = checked(rows, &self.opened.schema)?;
        let sections = match self.rowset {
            Rowset::Events => dates(&rows)?,
            Rowset::Baseline => vec![Section::Baseline; rows.len()],
        };
        let ids = rows.event_ids();
        let unseen = |id: &&str| !self.waiting_ids.contains(*id);
        let mut new: HashSet<&str> = ids.iter().flatten().filter(unseen).collect();
        let Opened {
            layout, catalog, ..
        } = &mut *self.opened;
        self.damaged
            .extend(catalog.remove_known(layout, &self.parts, &mut new)?);
        self.damaged
            .extend(catalog.remove_known(layout, &self.hidden, &mut new)?);

        let mut accepted: BTreeMap<Section, Vec<u32>> = BTreeMap::new();
        for (row, section) in (0_u32..).zip(sections) {
            let id = ids.value(row as usize);
            // Taking the id out drops what comes twice in this batch.
            if new.remove(id) {
                accepted.entry(section).or_default().push(row);
                self.waiting_bytes += id.len() + ID_BYTES;
                self.waiting_ids.insert(id.to_owned());
            }
        }
        let mut ack = Ack::default();
        for (section, taken) in accepted {
            ack.accepted += taken.len() as u64;
            let batch = take(&rows, taken)?;
            self.waiting_bytes += batch.get_array_memory_size();
            self.waiting.entry(section).or_default().push(batch);
        }
        ack.duplicates = rows.len() as u64 - ack.accepted;
        self.ack += ack;
        if self.waiting_bytes > PART_BYTES {
            self.write()?;
        }
        Ok(ack)
    }

    /// Makes the rows visible. When this returns, they survive a crash.
    ///
    /// # Errors
    /// Those of the file system; none of the rows is there then.
    pub fn commit(mut self) -> Result<Ack> {
        self.write()?;
        self.merge()?;
        self.change.commit()?;
        for Part { path, .. } in &self.hidden {
            self.opened.catalog.renamed(path, unstaged(path));
        }
        Ok(self.ack)
    }

    /// Gives all waiting rows files, which stay hidden.
    fn write(&mut self) -> Result<()> {
        for (section, batches) in std::mem::take(&mut self.waiting) {
            // Rows with and without image properties are not for one file.
            for alike in batches.chunk_by(|a, b| a.schema() == b.schema()) {
                let Some(place) = self.change.write(section, alike.iter().cloned().map(Ok))? else {
                    continue;
                };
                self.change.add(&place);
                let path = staged(&place);
                let Opened {
                    schema, catalog, ..
                } = &mut *self.opened;
                catalog.look(&path, schema).map_err(Fault::into_error)?;
                self.hidden.push(Part { path, section });
            }
        }
        self.waiting_ids = HashSet::new();
        self.waiting_bytes = 0;
        Ok(())
    }

    /// Merges small files of the dates that get rows. One that turns out to be damaged is left to those who look for it.
    fn merge(&mut self) -> Result<()> {
        let catalog = &self.opened.catalog;
        let sections: BTreeSet<Section> = self.hidden.iter().map(|part| part.section).collect();
        for section in sections {
            let of_section = |parts: &[Part]| -> Vec<Part> {
                let parts = parts.iter().filter(|part| part.section == section);
                parts.cloned().collect()
            };
            for group in merge::all(catalog, &of_section(&self.hidden)) {
                merge::merge(&mut self.change, &group)?;
            }
            for group in merge::due(catalog, &of_section(&self.parts)) {
                let _ = merge::merge(&mut self.change, &group);
            }
        }
        Ok(())
    }
}

fn checked(batch: &RecordBatch, schema: &RowSchema) -> Result<Rows> {
    let rows = driftline_rows::check(batch)?;
    if !rows.schema().fits(schema) {
        let message = format!(
            "these rows have embeddings of {} values and the classes {}; the store was prepared for {} and {}",
            rows.schema().dim,
            rows.schema().classes.join(", "),
            schema.dim,
            schema.classes.join(", ")
        );
        return Err(Error::new(ErrorKind::InvalidData, "publish rows", message)
            .remedy("publish the rows of one model under one model name"));
    }
    if u32::try_from(rows.len()).is_err() {
        let message = format!("{} rows are too many for one call", rows.len());
        return Err(Error::new(ErrorKind::InvalidData, "publish rows", message));
    }
    Ok(rows)
}

fn dates(rows: &Rows) -> Result<Vec<Section>> {
    let date = |(row, ms): (usize, &i64)| match Timestamp::from_millisecond(*ms) {
        Ok(time) => Ok(Section::Events(TimeZone::UTC.to_datetime(time).date())),
        Err(cause) => {
            let message = format!("column `timestamp` has a time that no calendar knows: {ms} ms");
            Err(Error::new(ErrorKind::InvalidData, "publish rows", message)
                .with("row", row)
                .because(cause))
        }
    };
    rows.timestamps_ms().iter().enumerate().map(date).collect()
}

fn take(rows: &Rows, taken: Vec<u32>) -> Result<RecordBatch> {
    take_record_batch(rows.batch(), &UInt32Array::from(taken)).map_err(|cause| {
        Error::new(
            ErrorKind::Internal,
            "publish rows",
            "the rows could not be grouped by date",
        )
        .because(cause)
    })
}
