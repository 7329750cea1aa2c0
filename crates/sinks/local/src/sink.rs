//! The writing side of the store.

use std::collections::HashMap;
use std::fs;

use arrow_array::RecordBatch;
use driftline_core::{
    Ack, Error, ErrorKind, EventLabel, MonitorSink, Result, RowSchema, Rows, SinkConfig, SinkInfo,
};
use driftline_rows::create_folder;

use crate::catalog::Catalog;
use crate::change::{self, Deletion, EventUpdate};
use crate::damage::Damage;
use crate::layout::Layout;
use crate::lock::Lock;
use crate::monitor;
use crate::rewrite::rewrite;
use crate::store::Section;
use crate::transaction::{Rowset, Transaction};

/// A [`MonitorSink`] that appends to a store on this machine.
///
/// # Behavior
/// - One publish call makes at most one file in `baseline/`, or one per UTC date in `events/`. Where it adds to many small
///   files, they become one.
/// - When it returns, its rows survive a crash. When it fails, none of its rows is there.
/// - The rows of many calls become visible together through [`begin_events`](Self::begin_events).
/// - Baseline and events are two sets of rows: an `event_id` may be in both.
/// - Other processes may append at the same time; each call waits for its turn.
#[derive(Debug)]
pub struct LocalSink {
    info: SinkInfo,
    opened: Opened,
    damaged: Vec<Damage>,
}

/// What an open sink knows.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) layout: Layout,
    pub(crate) schema: RowSchema,
    pub(crate) catalog: Catalog,
}

impl LocalSink {
    /// A sink into `config.store`, whose folder for the monitor is there when this returns.
    ///
    /// # Errors
    /// `InvalidConfig` if the place is taken by a file, or the monitor is there with another schema; otherwise those of the
    /// file system.
    pub fn open(config: &SinkConfig) -> Result<Self> {
        if let Some(option) = config.options.keys().next() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "open the store",
                format!("the sink `local` has no option `{option}`"),
            )
            .remedy("it has none; the folder is `sink.store`"));
        }
        let store = &config.store;
        if store.exists() && !store.is_dir() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "open the store",
                "the store is not a folder",
            )
            .with("file", store.display())
            .remedy("give a folder, or a name that is not taken, as --store"));
        }
        let monitor = &config.monitor;
        let layout = Layout::new(store, &monitor.project, &monitor.model)?;
        create_folder(layout.folder())?;
        let _lock = Lock::acquire(&layout)?;
        monitor::agree(&layout, monitor)?;
        let stray = |path| Damage {
            path,
            reason: "it stands where the folder of a day should be, whose events cannot be kept"
                .to_owned(),
            moved_to: None,
        };
        let mut damaged: Vec<Damage> = layout.strays()?.into_iter().map(stray).collect();
        for path in layout.leftovers()? {
            fs::remove_file(&path).map_err(|e| Error::io("remove a leftover", &path, e))?;
        }
        let mut catalog = Catalog::default();
        let parts = layout.parts(|_| true)?;
        damaged.extend(catalog.refresh(&layout, &monitor.schema, &parts)?);
        Ok(Self {
            info: SinkInfo {
                name: "local".to_owned(),
                location: layout.folder().display().to_string(),
            },
            opened: Opened {
                layout,
                schema: monitor.schema.clone(),
                catalog,
            },
            damaged,
        })
    }

    /// The files met so far whose rows count as not there, in the order they were met.
    pub fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    /// Starts events that become visible together, however many calls bring them.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn begin_events(&mut self) -> Result<Transaction<'_>> {
        self.begin(Rowset::Events)
    }

    /// Starts rows of the baseline that become visible together.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn begin_baseline(&mut self) -> Result<Transaction<'_>> {
        self.begin(Rowset::Baseline)
    }

    fn begin(&mut self, rowset: Rowset) -> Result<Transaction<'_>> {
        Transaction::begin(&mut self.opened, &mut self.damaged, rowset)
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
        let accepted = self.change_events(Some(&ids), |rows| change::updated(rows, &updates_of))?;
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
        let ids = matches!(which, Deletion::Ids(_)).then_some(ids.as_slice());
        self.change_events(ids, |rows| which.applied(rows))
    }

    /// Changes the events of the files that may hold one of `ids`, or of all, and returns how many changed. Damaged files
    /// are set aside.
    fn change_events(
        &mut self,
        ids: Option<&[&str]>,
        change: impl FnMut(&Rows) -> Result<Option<(RecordBatch, u64)>>,
    ) -> Result<u64> {
        let Opened {
            layout,
            schema,
            catalog,
        } = &mut self.opened;
        let _lock = Lock::acquire(layout)?;
        let mut parts = layout.parts(|section| section != Section::Baseline)?;
        self.damaged
            .extend(catalog.refresh(layout, schema, &parts)?);
        parts.retain(|part| match ids {
            Some(ids) => !catalog.candidates(&part.path, ids).is_empty(),
            None => catalog.size(&part.path).is_some(),
        });
        let rewritten = rewrite(layout, &parts, change)?;
        self.damaged.extend(rewritten.damaged);
        Ok(rewritten.rows)
    }
}

impl MonitorSink for LocalSink {
    fn info(&self) -> &SinkInfo {
        &self.info
    }

    fn publish_baseline(&mut self, rows: &RecordBatch) -> Result<Ack> {
        let mut transaction = self.begin_baseline()?;
        transaction.add(rows)?;
        transaction.commit()
    }

    fn publish_events(&mut self, rows: &RecordBatch) -> Result<Ack> {
        let mut transaction = self.begin_events()?;
        transaction.add(rows)?;
        transaction.commit()
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
