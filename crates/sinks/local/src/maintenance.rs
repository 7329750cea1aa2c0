//! A whole store, looked after: what is damaged, what a repair does about it, and small files that become few.
//!
//! Each step is safe to interrupt, and doing it again goes on where it was.

use std::fs;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Finding, Result, RowSchema};
use driftline_rows::{Footer, RowsReader};
use serde::Serialize;

use crate::catalog::Catalog;
use crate::clusters;
use crate::damage::{self, Fault, move_aside, name_before, set_aside};
use crate::journal::{self, Change, Journal};
use crate::layout::{Layout, digest_in, is_staged, names_in, rows_in};
use crate::lock::Lock;
use crate::merge;
use crate::monitor;
use crate::sink::Opened;
use crate::store::{Part, Section};
use crate::transaction::{Rowset, Transaction};

/// What [`compact`] did for a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compacted {
    /// Name of the project.
    pub project: String,
    /// Name of the model.
    pub model: String,
    /// Part files before.
    pub files_before: usize,
    /// Part files after.
    pub files_after: usize,
    /// Damaged files met on the way, and where they are now.
    pub damaged: Vec<String>,
}

/// Looks at every file of a store, whole, and changes nothing.
///
/// What is [`repaired`](Finding::repaired) already was set aside before.
///
/// # Errors
/// Those of the file system, where a folder cannot be listed.
pub fn check(store: &Path) -> Result<Vec<Finding>> {
    look(store, false)
}

/// Like [`check`], and sets aside what is damaged, so that the rest can be used and the lost rows published again. Nothing
/// is deleted but what a killed process left half written.
///
/// # Errors
/// Those of the file system.
pub fn repair(store: &Path) -> Result<Vec<Finding>> {
    look(store, true)
}

/// Merges the small part files of every model, so that each date has as few as there can be.
///
/// # Errors
/// Those of the file system. What was merged before stays merged; no row is lost or doubled.
pub fn compact(store: &Path) -> Result<Vec<Compacted>> {
    let mut done = Vec::new();
    for (project, model) in models(store)? {
        let layout = Layout::new(store, &project, &model)?;
        let Some(spec) = monitor::read(&layout)? else {
            continue;
        };
        let _lock = Lock::acquire(&layout)?;
        let mut parts = layout.parts(|_| true)?;
        let files_before = parts.len();
        let mut catalog = Catalog::default();
        let mut damaged = catalog.refresh(&layout, &spec.schema, &parts)?;
        // Only whole files are merged, so that a damaged one keeps the others from nothing.
        let mut whole = Vec::new();
        for part in std::mem::take(&mut parts) {
            if catalog.size(&part.path).is_none() {
                continue;
            }
            match RowsReader::open(&part.path) {
                Ok(_) => whole.push(part),
                Err(error) => damaged.push(set_aside(&layout, &part.path, Fault::from(error))?),
            }
        }
        for of_section in whole.chunk_by(|a, b| a.section == b.section) {
            for group in merge::all(&catalog, of_section) {
                let mut change = Change::new(&layout);
                merge::merge(&mut change, &group)?;
                change.commit()?;
                journal::complete(&layout)?;
            }
        }
        done.push(Compacted {
            project,
            model,
            files_before,
            files_after: layout.parts(|_| true)?.len(),
            damaged: damaged.iter().map(ToString::to_string).collect(),
        });
    }
    Ok(done)
}

/// Every folder that is one of a model, in order of names.
fn models(store: &Path) -> Result<Vec<(String, String)>> {
    let folders = |folder: &Path| -> Result<Vec<String>> {
        let mut names = names_in(folder)?;
        names.retain(|name| !name.starts_with('.') && folder.join(name).is_dir());
        names.sort_unstable();
        Ok(names)
    };
    let mut found = Vec::new();
    for project in folders(store)? {
        let folder = store.join(&project);
        for model in folders(&folder)? {
            let place = folder.join(&model);
            let known = ["monitor.json", "baseline", "events", "rewrite.json"];
            if known.iter().any(|name| place.join(name).exists()) {
                found.push((project.clone(), model));
            }
        }
    }
    Ok(found)
}

fn look(store: &Path, repairing: bool) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (project, model) in models(store)? {
        Model {
            layout: Layout::new(store, &project, &model)?,
            repairing,
            findings: &mut findings,
        }
        .look()?;
    }
    Ok(findings)
}

/// One model that is looked at.
struct Model<'f> {
    layout: Layout,
    repairing: bool,
    findings: &'f mut Vec<Finding>,
}

impl Model<'_> {
    fn look(mut self) -> Result<()> {
        self.set_aside_before()?;
        let schema = self.descriptions()?;
        if self.repairing {
            self.journal(schema.as_ref())?;
            let _lock = Lock::acquire(&self.layout)?;
            for path in self.layout.leftovers()? {
                fs::remove_file(&path).map_err(|e| Error::io("remove a leftover", &path, e))?;
            }
            let parts = self.layout.parts(|_| true)?;
            self.parts(&parts, schema.as_ref())?;
        } else {
            let parts = match self.journal(schema.as_ref())? {
                true => self.layout.snapshot(|_| true)?,
                false => self.layout.listed(&|_| true)?,
            };
            self.parts(&parts, schema.as_ref())?;
        }
        for path in self.layout.strays()? {
            self.note(
                &path,
                "it stands where the folder of a day should be, whose events cannot be kept",
                Some(0),
                "it stays where it is; move it away",
            );
        }
        Ok(())
    }

    fn note(&mut self, path: &Path, problem: &str, rows_lost: Option<u64>, repair: &str) {
        self.findings.push(Finding {
            path: path.to_owned(),
            problem: problem.to_owned(),
            rows_lost,
            repair: repair.to_owned(),
            repaired: false,
        });
    }

    /// Moves a file aside, if anything may be changed.
    fn note_and_move(
        &mut self,
        path: &Path,
        problem: &str,
        rows_lost: Option<u64>,
        then: &str,
    ) -> Result<()> {
        let moved = match self.repairing {
            true => Some(move_aside(&self.layout, path)?),
            false => None,
        };
        let repair = match &moved {
            Some(place) => format!("set aside as {}; {then}", place.display()),
            None => format!(
                "it is set aside in {}; {then}",
                self.layout.damaged().display()
            ),
        };
        self.findings.push(Finding {
            path: path.to_owned(),
            problem: problem.to_owned(),
            rows_lost,
            repair,
            repaired: moved.is_some(),
        });
        Ok(())
    }

    /// What was moved aside by now.
    fn set_aside_before(&mut self) -> Result<()> {
        let folder = self.layout.damaged();
        let mut names = names_in(&folder)?;
        names.sort_unstable();
        for name in names {
            let place = folder.join(name);
            let before = name_before(&place).map(PathBuf::from);
            let rows = before.and_then(|name| rows_in(&name));
            self.findings.push(Finding {
                path: place,
                problem: "it was damaged".to_owned(),
                rows_lost: rows,
                repair: "set aside; publish its rows again, then remove it".to_owned(),
                repaired: true,
            });
        }
        Ok(())
    }

    /// `monitor.json` and `clusters.json`; returns what rows of the model look like, where that is known.
    fn descriptions(&mut self) -> Result<Option<RowSchema>> {
        let damaged = |error: &Error| error.kind() == ErrorKind::InvalidData;
        if let Err(error) = clusters::read(&self.layout) {
            let then = "the clusters are found on the baseline from then on";
            let path = self.layout.clusters();
            match damaged(&error) {
                true => self.note_and_move(&path, &error.to_string(), Some(0), then)?,
                false => self.note(&path, &error.to_string(), Some(0), "none"),
            }
        }
        let path = self.layout.monitor();
        match monitor::read(&self.layout) {
            Ok(Some(spec)) => return Ok(Some(spec.schema)),
            Ok(None) => self.note(
                &path,
                "the description of the model is missing; its rows are not shown",
                Some(0),
                "none; the next rows that are published bring it back",
            ),
            Err(error) if damaged(&error) => {
                let then = "the next rows that are published write it anew";
                self.note_and_move(&path, &error.to_string(), Some(0), then)?;
            }
            Err(error) => self.note(&path, &error.to_string(), Some(0), "none"),
        }
        Ok(None)
    }

    /// `rewrite.json`; says whether it can be followed.
    fn journal(&mut self, schema: Option<&RowSchema>) -> Result<bool> {
        let path = self.layout.journal();
        let lock = match self.repairing {
            true => Some(Lock::bare(&self.layout)?),
            false => None,
        };
        let error = match Journal::read(&self.layout) {
            Ok(journal) => {
                for (missing, new_rows) in journal.missing(&self.layout) {
                    let problem = format!("{} names it, and it is not there", path.display());
                    let (rows, repair) = match new_rows {
                        true => (rows_in(&missing), "it is passed over"),
                        false => (Some(0), "what it should replace stays"),
                    };
                    self.note(&missing, &problem, rows, repair);
                    if let Some(finding) = self.findings.last_mut() {
                        finding.repaired = self.repairing;
                    }
                }
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::InvalidData => error,
            Err(error) => return Err(error),
        };
        if let Some(lock) = lock {
            let Some(schema) = schema else {
                let message = "the rows of files that were being replaced cannot be told apart without monitor.json";
                self.note(&path, message, None, "none before monitor.json is there");
                return Err(error);
            };
            self.adopt(schema, lock)?;
            let _lock = Lock::bare(&self.layout)?;
            let then =
                "the rows of new files were kept; labels that were being changed are as before";
            let repair = if Journal::read(&self.layout).is_err() {
                let place = move_aside(&self.layout, &path)?;
                format!("set aside as {}; {then}", place.display())
            } else {
                format!("written anew; {then}")
            };
            self.note(&path, &error.to_string(), Some(0), &repair);
            if let Some(finding) = self.findings.last_mut() {
                finding.repaired = true;
            }
            return Ok(true);
        }
        let repair = "it is set aside; rows of new files that no other file has are kept";
        self.note(&path, &error.to_string(), Some(0), repair);
        Ok(false)
    }

    /// Keeps the rows of hidden files that no other file has. `rewrite.json` is damaged and stays until that is done, so
    /// that nobody removes them before.
    fn adopt(&mut self, schema: &RowSchema, lock: Lock) -> Result<()> {
        let mut lock = Some(lock);
        for rowset in [Rowset::Baseline, Rowset::Events] {
            let hidden: Vec<PathBuf> = self
                .layout
                .leftovers()?
                .into_iter()
                .filter(|path| {
                    let name = path.file_name().and_then(|name| name.to_str());
                    let baseline = self.layout.section(Section::Baseline);
                    let in_baseline = path.parent() == Some(baseline.as_path());
                    name.is_some_and(is_staged) && in_baseline == (rowset == Rowset::Baseline)
                })
                .collect();
            if hidden.is_empty() {
                continue;
            }
            let lock = match lock.take() {
                Some(lock) => lock,
                None => Lock::bare(&self.layout)?,
            };
            let parts = self.layout.listed(&|section| rowset.has(section))?;
            let mut opened = Opened {
                layout: self.layout.clone(),
                schema: schema.clone(),
                catalog: Catalog::default(),
            };
            let mut damaged = Vec::new();
            let mut transaction =
                Transaction::over(&mut opened, &mut damaged, rowset, parts, lock)?;
            for path in hidden {
                // What is damaged is found among the files that are set aside.
                let Ok(reader) = RowsReader::open(&path) else {
                    continue;
                };
                for rows in reader {
                    transaction.add(rows?.batch())?;
                }
            }
            transaction.commit()?;
        }
        Ok(())
    }

    fn parts(&mut self, parts: &[Part], schema: Option<&RowSchema>) -> Result<()> {
        for Part { path, .. } in parts {
            let Err(fault) = whole(path, schema) else {
                continue;
            };
            let ours = digest_in(path).is_some();
            match fault {
                Fault::Broken(error) if ours => {
                    let rows = rows_in(path);
                    let then = "publish its rows again";
                    self.note_and_move(path, &error.to_string(), rows, then)?;
                }
                Fault::Broken(error) => {
                    let rows = Footer::read(path).ok().map(|footer| footer.rows);
                    let repair = "it stays where it is, because it was put there by somebody else; remove it";
                    self.note(path, &error.to_string(), rows, repair);
                }
                Fault::Foreign(error) => {
                    let repair = "it stays where it is and is passed over; move it to the store of its own model";
                    self.note(path, &error.to_string(), Some(0), repair);
                }
                // Somebody replaced it meanwhile.
                Fault::Unreadable(error) if error.kind() == ErrorKind::NotFound => {}
                Fault::Unreadable(error) => {
                    let repair = "none; it may be well, see that it can be read";
                    self.note(path, &error.to_string(), Some(0), repair);
                }
            }
        }
        Ok(())
    }
}

/// Reads a whole part file.
fn whole(path: &Path, schema: Option<&RowSchema>) -> Result<(), Fault> {
    match schema {
        Some(schema) => damage::check(path, schema)?,
        None => damage::check(path, &Footer::read(path)?.schema)?,
    };
    for rows in RowsReader::open(path)? {
        rows?;
    }
    Ok(())
}
