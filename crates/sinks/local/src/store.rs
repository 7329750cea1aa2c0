//! The reading side of the store, and what is done to a model as a whole.

use std::fs;
use std::io;
use std::ops::RangeBounds;
use std::path::{Path, PathBuf};
use std::vec;

use driftline_core::{Error, ErrorKind, MonitorSpec, Result, RowSchema, Rows};
use driftline_rows::RowsReader;
use jiff::civil::Date;

use crate::clusters::{self, Centroids};
use crate::damage::{Damage, Fault, check, record};
use crate::layout::{Layout, names_in};
use crate::lock::Lock;
use crate::monitor;
use crate::part::{PartFile, Section, unstaged};

/// One model of a store, for reading; nothing is written and no lock is taken.
#[derive(Debug, Clone)]
pub struct Store {
    layout: Layout,
    monitor: MonitorSpec,
}

/// Project and model of everything in the store at `store`, in order of names.
pub fn monitors(store: &Path) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let hidden = |name: &String| name.starts_with('.');
    for project in names_in(store)?.into_iter().filter(|name| !hidden(name)) {
        let folder = store.join(&project);
        if !folder.is_dir() {
            continue;
        }
        for model in names_in(&folder)? {
            if folder.join(&model).join("monitor.json").is_file() {
                found.push((project.clone(), model));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes a model and all its rows; one that is not there is no error.
pub fn remove_model(store: &Path, project: &str, model: &str) -> Result<()> {
    let layout = Layout::new(store, project, model)?;
    let failed = |e| Error::io("remove a model", layout.folder(), e);
    // Without its description a model is not there any more, however far the removal of its rows gets.
    for gone in [
        fs::remove_file(layout.monitor()),
        fs::remove_dir_all(layout.folder()),
    ] {
        match gone {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(failed(e)),
        }
    }
    Ok(())
}

/// Keeps the clusters of a model that the store has.
///
/// # Errors
/// `NotFound` if the store has no such model, otherwise the failure of the file system.
pub fn write_clusters(
    store: &Path,
    project: &str,
    model: &str,
    centroids: &Centroids,
) -> Result<()> {
    let layout = Store::open(store, project, model)?.layout;
    let _lock = Lock::acquire(&layout)?;
    clusters::write(&layout, centroids)
}

impl Store {
    /// Opens a model of the store at `store`.
    ///
    /// # Errors
    /// `NotFound`, listing what there is; `InvalidData` or `Unsupported` naming a `monitor.json` that cannot be used.
    pub fn open(store: &Path, project: &str, model: &str) -> Result<Self> {
        let layout = Layout::new(store, project, model)?;
        if let Some(monitor) = monitor::read(&layout)? {
            return Ok(Self { layout, monitor });
        }
        let message = format!("the store has no model `{model}` in a project `{project}`");
        let known: Vec<String> = monitors(store)?
            .iter()
            .map(|(project, model)| format!("{project}/{model}"))
            .collect();
        let remedy = if known.is_empty() {
            "there is nothing in it yet; check --store".to_owned()
        } else {
            format!("it has: {}", known.join(", "))
        };
        Err(Error::new(ErrorKind::NotFound, "open the store", message)
            .with("store", store.display())
            .remedy(remedy))
    }

    /// Clusters that were found elsewhere, if the model has such.
    pub fn clusters(&self) -> Result<Option<Centroids>> {
        clusters::read(&self.layout)
    }

    /// What is monitored, as `monitor.json` says.
    pub fn monitor(&self) -> &MonitorSpec {
        &self.monitor
    }

    /// Every Parquet file: the baseline, then events by date and name.
    pub fn parts(&self) -> Result<Vec<PartFile>> {
        self.layout.snapshot(|_| true)
    }

    /// The rows of the baseline.
    pub fn baseline(&self) -> Result<PartRows> {
        self.rows(|section| section == Section::Baseline)
    }

    /// The events of some days (in UTC), in order of days; `..` is all of them.
    pub fn events(&self, dates: impl RangeBounds<Date>) -> Result<PartRows> {
        self.rows(|section| match section {
            Section::Baseline => false,
            Section::Events(date) => dates.contains(&date),
        })
    }

    fn rows(&self, wanted: impl Fn(Section) -> bool) -> Result<PartRows> {
        Ok(PartRows {
            schema: self.monitor.schema.clone(),
            parts: self.layout.snapshot(wanted)?.into_iter(),
            current: None,
            damaged: Vec::new(),
        })
    }
}

/// The rows of some part files, batch by batch.
///
/// A damaged file is passed over and named in [`damaged`](Self::damaged); a file that cannot be read for another reason
/// (permission, a failing disk) is an error, after which the next file follows.
#[derive(Debug)]
pub struct PartRows {
    schema: RowSchema,
    parts: vec::IntoIter<PartFile>,
    current: Option<(PathBuf, RowsReader)>,
    damaged: Vec<Damage>,
}

impl PartRows {
    /// The rows of one part file of a model with this schema.
    pub fn of(part: PartFile, schema: RowSchema) -> Self {
        Self {
            schema,
            parts: vec![part].into_iter(),
            current: None,
            damaged: Vec::new(),
        }
    }

    /// The files met so far whose rows are missing.
    pub fn damaged(&self) -> &[Damage] {
        &self.damaged
    }

    fn open(&self, path: &Path) -> Result<RowsReader, Fault> {
        let open = |path: &Path| {
            check(path, &self.schema)?;
            Ok(RowsReader::open(path)?)
        };
        match open(path) {
            // It may have got its name since the folder was listed.
            Err(Fault::Unreadable(error)) if error.kind() == ErrorKind::NotFound => {
                open(&unstaged(path))
            }
            opened => opened,
        }
    }

    /// Keeps damage in mind; anything else goes to the caller.
    fn note(&mut self, path: &Path, fault: Fault) -> Option<Error> {
        match record(path, fault) {
            Ok(damage) => {
                self.damaged.push(damage);
                None
            }
            Err(error) => Some(error),
        }
    }
}

impl Iterator for PartRows {
    type Item = Result<Rows>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((path, mut reader)) = self.current.take() {
                match reader.next() {
                    None => {}
                    Some(Ok(rows)) => {
                        self.current = Some((path, reader));
                        return Some(Ok(rows));
                    }
                    Some(Err(error)) => {
                        if let Some(error) = self.note(&path, error.into()) {
                            return Some(Err(error));
                        }
                    }
                }
            }
            let PartFile { path, .. } = self.parts.next()?;
            match self.open(&path) {
                Ok(reader) => self.current = Some((path, reader)),
                Err(fault) => {
                    if let Some(error) = self.note(&path, fault) {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}
