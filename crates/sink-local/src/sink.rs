//! The writing side of the store.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

use arrow_array::{RecordBatch, UInt32Array};
use arrow_select::take::take_record_batch;
use driftline_core::{
    Ack, Error, ErrorKind, EventLabel, MonitorSink, MonitorSpec, Result, RowSchema, Rows,
    SinkConfig, SinkInfo,
};
use driftline_rows::{create_folder, write_named};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::catalog::Catalog;
use crate::change::{self, Deletion, EventUpdate};
use crate::damage::Damage;
use crate::layout::{Layout, part_name};
use crate::lock::Lock;
use crate::monitor;
use crate::rewrite::rewrite;
use crate::store::{Part, Section};

/// A [`MonitorSink`] that appends to a store on this machine.
///
/// # Behavior
/// - One publish call makes at most one file in `baseline/`, or one per UTC date in `events/`.
/// - When it returns, its rows survive a crash. When it fails, the dates written before the failure are kept, and the
///   same call again completes the rest.
/// - Baseline and events are two sets of rows: an `event_id` may be in both.
/// - Other processes may append at the same time; each call waits for its turn.
#[derive(Debug)]
pub struct LocalSink {
    info: SinkInfo,
    store: PathBuf,
    prepared: Option<Prepared>,
    damaged: Vec<Damage>,
}

#[derive(Debug)]
struct Prepared {
    layout: Layout,
    schema: RowSchema,
    catalog: Catalog,
}

impl LocalSink {
    /// A sink into `config.store`; nothing is touched before [`prepare`](MonitorSink::prepare).
    ///
    /// # Errors
    /// `InvalidConfig` if the place is taken by a file.
    pub fn open(config: &SinkConfig) -> Result<Self> {
        if let Some(option) = config.options.keys().next() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "open the store",
                format!("the sink `local` has no option `{option}`"),
            )
            .remedy("it has none; the folder is `sink.store`"));
        }
        let store = config.store.clone();
        if store.exists() && !store.is_dir() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "open the store",
                "the store is not a folder",
            )
            .with("file", store.display())
            .remedy("give a folder, or a name that is not taken, as --store"));
        }
        Ok(Self {
            info: SinkInfo {
                name: "local".to_owned(),
                location: store.display().to_string(),
            },
            store,
            prepared: None,
            damaged: Vec::new(),
        })
    }

    /// The files met so far whose rows count as not there, in the order they were met.
    pub fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    fn publish(&mut self, batch: &RecordBatch, by_date: bool) -> Result<Ack> {
        let Prepared {
            layout,
            schema,
            catalog,
        } = self.prepared.as_mut().ok_or_else(unprepared)?;
        let rows = checked(batch, schema)?;
        let sections = if by_date {
            dates(&rows)?
        } else {
            vec![Section::Baseline; rows.len()]
        };

        let _lock = Lock::acquire(layout)?;
        let parts = layout.parts(|section| (section != Section::Baseline) == by_date)?;
        self.damaged
            .extend(catalog.refresh(layout, schema, &parts)?);
        let ids = rows.event_ids();
        let mut new: HashSet<&str> = ids.iter().flatten().collect();
        self.damaged
            .extend(catalog.remove_known(layout, &parts, &mut new)?);

        let mut files: BTreeMap<Section, Vec<u32>> = BTreeMap::new();
        for (row, section) in (0_u32..).zip(sections) {
            // Taking the id out drops what comes twice in this batch.
            if new.remove(ids.value(row as usize)) {
                files.entry(section).or_default().push(row);
            }
        }
        let mut accepted = 0;
        for (section, rows_of_file) in files {
            accepted += rows_of_file.len() as u64;
            append(layout, section, &rows, rows_of_file)?;
        }
        Ok(Ack {
            accepted,
            duplicates: rows.len() as u64 - accepted,
        })
    }
}

impl LocalSink {
    /// Changes events that are there. `accepted` counts the events that changed; `duplicates` the updates that changed
    /// nothing. Rows of the baseline stay as they are.
    ///
    /// # Errors
    /// Those of the file system; all events have changed then, or none.
    pub fn update_events(&mut self, updates: &[EventUpdate]) -> Result<Ack> {
        // Of several updates of one event the last one counts.
        let updates_of: HashMap<&str, &EventUpdate> = updates
            .iter()
            .map(|update| (update.event_id.as_str(), update))
            .collect();
        let mut ids: Vec<&str> = updates_of.keys().copied().collect();
        ids.sort_unstable();
        let mut accepted = 0;
        self.change_events(
            |catalog, part| catalog.may_hold_any(part, &ids),
            |rows| {
                let changed = change::updated(rows, &updates_of)?;
                Ok(changed.map(|(batch, count)| {
                    accepted += count;
                    batch
                }))
            },
        )?;
        Ok(Ack {
            accepted,
            duplicates: updates.len() as u64 - accepted,
        })
    }

    /// Deletes events and returns how many there were; what is deleted may be published again.
    ///
    /// # Errors
    /// Those of the file system; all events are deleted then, or none.
    pub fn delete_events(&mut self, which: &Deletion) -> Result<u64> {
        let mut ids: Vec<&str> = match which {
            Deletion::Ids(ids) => ids.iter().map(String::as_str).collect(),
            Deletion::Times(_) => Vec::new(),
        };
        ids.sort_unstable();
        let mut deleted = 0;
        self.change_events(
            |catalog, part| match which {
                Deletion::Ids(_) => catalog.may_hold_any(part, &ids),
                Deletion::Times(_) => true,
            },
            |rows| {
                let left = which.applied(rows)?;
                if let Some(left) = &left {
                    deleted += (rows.len() - left.num_rows()) as u64;
                }
                Ok(left)
            },
        )?;
        Ok(deleted)
    }

    fn change_events(
        &mut self,
        concerned: impl Fn(&Catalog, &Part) -> bool,
        change: impl FnMut(&Rows) -> Result<Option<RecordBatch>>,
    ) -> Result<()> {
        let Prepared {
            layout,
            schema,
            catalog,
        } = self.prepared.as_mut().ok_or_else(unprepared)?;
        let _lock = Lock::acquire(layout)?;
        let mut parts = layout.parts(|section| section != Section::Baseline)?;
        self.damaged
            .extend(catalog.refresh(layout, schema, &parts)?);
        parts.retain(|part| catalog.is_usable(part) && concerned(catalog, part));
        rewrite(layout, &parts, change)
    }
}

fn unprepared() -> Error {
    let message = "rows were published before the sink was prepared";
    Error::new(ErrorKind::Internal, "publish rows", message)
}

impl MonitorSink for LocalSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    fn prepare(&mut self, monitor: &MonitorSpec) -> Result<()> {
        let layout = Layout::new(&self.store, &monitor.project, &monitor.model)?;
        create_folder(layout.folder())?;
        let _lock = Lock::acquire(&layout)?;
        monitor::agree(&layout, monitor)?;
        for path in layout.leftovers()? {
            fs::remove_file(&path).map_err(|e| Error::io("remove a leftover", &path, e))?;
        }
        let mut catalog = Catalog::default();
        let parts = layout.parts(|_| true)?;
        self.damaged
            .extend(catalog.refresh(&layout, &monitor.schema, &parts)?);
        self.info.location = layout.folder().display().to_string();
        self.prepared = Some(Prepared {
            layout,
            schema: monitor.schema.clone(),
            catalog,
        });
        Ok(())
    }

    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.publish(rows, false)
    }

    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack> {
        self.publish(rows, true)
    }

    fn publish_labels(&mut self, labels: &[EventLabel]) -> Result<Ack> {
        let update = |label: &EventLabel| EventUpdate {
            event_id: label.event_id.clone(),
            target: Some(label.target.clone()),
            image_url: None,
        };
        self.update_events(&labels.iter().map(update).collect::<Vec<_>>())
    }

    /// Nothing is left to do: a publish call returns when its rows are on disk.
    fn flush(&mut self) -> Result<()> {
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

fn append(layout: &Layout, section: Section, rows: &Rows, taken: Vec<u32>) -> Result<()> {
    let first = taken.first().map_or(0, |row| *row as usize);
    let first_id = rows.event_ids().value(first);
    let count = taken.len();
    let batch = take_record_batch(rows.batch(), &UInt32Array::from(taken)).map_err(|cause| {
        Error::new(
            ErrorKind::Internal,
            "publish rows",
            "the rows could not be grouped by date",
        )
        .because(cause)
    })?;
    let folder = layout.section(section);
    create_folder(&folder)?;
    write_named(&folder, &batch, |digest| part_name(first_id, count, digest))?;
    Ok(())
}
