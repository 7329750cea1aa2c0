//! A model of a store and what is known of its rows.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use driftline_core::{Error, ErrorKind, MonitorSpec, Result};
use driftline_sink_local::{Centroids, Section, Store};
use driftline_stats::noise_floor;
use jiff::Timestamp;

use crate::bins::{HOUR_MS, timestamp, whole_hours};
use crate::counted::{Counted, CountedFiles};
use crate::part::StampedPart;
use crate::projection::Projection;
use crate::select::Selection;
use crate::{BaselineRows, Bin, BinSize, Binning, RowCounts};

/// How often reading starts again when a file disappears under it, because a writer replaces it.
const ATTEMPTS: usize = 5;

/// A model of a store: its rows, counted. It changes only by [`refresh`](Self::refresh).
#[derive(Debug)]
pub struct StoredModel {
    folder: PathBuf,
    store: Store,
    classes: Vec<String>,
    learnt_from: LearntFrom,
    binning: Arc<Binning>,
    cache: CountedFiles,
    pub(crate) projections: Mutex<HashMap<Selection, Arc<Projection>>>,
}

/// What a [`Binning`] was learnt from; if any of it changes, everything is counted anew.
#[derive(Debug, PartialEq)]
struct LearntFrom {
    monitor: MonitorSpec,
    centroids: Option<Centroids>,
    baseline: Vec<StampedPart>,
}

impl StoredModel {
    /// Opens a model of the store at `store` and counts its rows.
    ///
    /// # Errors
    /// `NotFound`, listing what there is, or what the store cannot read. Damaged files are passed over, see
    /// [`damaged`](Self::damaged).
    pub fn open(store: &Path, project: &str, model: &str) -> Result<Self> {
        Self::open_with_classes(store, project, model, Vec::new())
    }

    /// Like [`open`](Self::open), for a model whose targets name its classes otherwise than the score columns do:
    /// `classes` has their names in the order of the score columns.
    pub fn open_with_classes(
        store: &Path,
        project: &str,
        model: &str,
        classes: Vec<String>,
    ) -> Result<Self> {
        again_if_replaced(|| {
            let folder = store;
            let store = Store::open(folder, project, model)?;
            let (learnt_from, events) = LearntFrom::look(&store)?;
            let binning = learnt_from.binning(&classes)?;
            let mut cache = CountedFiles::default();
            let parts = [learnt_from.baseline.clone(), events].concat();
            cache.update(&parts, &learnt_from.monitor, &binning)?;
            Ok(Self {
                folder: folder.to_owned(),
                store,
                classes: classes.clone(),
                learnt_from,
                binning: Arc::new(binning),
                cache,
                projections: Mutex::default(),
            })
        })
    }

    /// Counts what is new in the store, and says whether anything changed.
    pub fn refresh(&mut self) -> Result<bool> {
        again_if_replaced(|| {
            let MonitorSpec { project, model, .. } = self.store.monitor();
            let store = Store::open(&self.folder, project, model)?;
            let (learnt_from, events) = LearntFrom::look(&store)?;
            let parts = [learnt_from.baseline.clone(), events].concat();
            let changed = if learnt_from == self.learnt_from {
                self.cache
                    .update(&parts, &learnt_from.monitor, &self.binning)?
            } else {
                let binning = learnt_from.binning(&self.classes)?;
                let mut cache = CountedFiles::default();
                cache.update(&parts, &learnt_from.monitor, &binning)?;
                self.cache = cache;
                self.binning = Arc::new(binning);
                self.learnt_from = learnt_from;
                true
            };
            self.store = store;
            if changed && let Ok(projections) = self.projections.get_mut() {
                projections.clear();
            }
            Ok(changed)
        })
    }

    /// What is monitored.
    pub fn monitor(&self) -> &MonitorSpec {
        self.store.monitor()
    }

    pub(crate) fn counted(&self) -> impl Iterator<Item = &Counted> {
        self.cache.counted()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// How values fall into bins.
    pub fn binning(&self) -> &Binning {
        &self.binning
    }

    /// Why the rows of some files are missing, a line for each.
    pub fn damaged(&self) -> Vec<&str> {
        let mut lines: Vec<&str> = self
            .cache
            .counted()
            .filter_map(|counted| counted.damage.as_deref())
            .collect();
        lines.sort_unstable();
        lines
    }

    /// Windows of the baseline section with their rows: the pre-production environments.
    pub fn environments(&self) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        for (name, counts) in self.cache.counted().flat_map(|counted| &counted.windows) {
            *found.entry(name.clone()).or_default() += counts.rows;
        }
        found
    }

    /// From the first hour with events to the end of the last; an empty range if there are none.
    pub fn extent(&self) -> Range<Timestamp> {
        let hours = self
            .cache
            .counted()
            .flat_map(|counted| counted.hours.keys());
        let (least, greatest) = hours.fold((i64::MAX, i64::MIN), |(least, greatest), hour| {
            (least.min(*hour), greatest.max(*hour))
        });
        if least > greatest {
            return Timestamp::UNIX_EPOCH..Timestamp::UNIX_EPOCH;
        }
        timestamp(least)..timestamp(greatest + HOUR_MS)
    }

    /// The bins of `times` that have events, in order. Counts are kept by hour: `times` is widened to whole hours, and
    /// a bin at its end holds only what lies in it.
    pub fn bins(&self, times: &Range<Timestamp>, size: BinSize) -> Vec<Bin> {
        let hours = whole_hours(times);
        let mut bins: BTreeMap<i64, RowCounts> = BTreeMap::new();
        if hours.is_empty() {
            return Vec::new();
        }
        for counted in self.cache.counted() {
            for (hour, counts) in counted.hours.range(hours.clone()) {
                bins.entry(size.start_of(*hour))
                    .and_modify(|bin| bin.merge(counts))
                    .or_insert_with(|| counts.clone());
            }
        }
        let bins = bins.into_iter().map(|(start, counts)| Bin {
            start: timestamp(start),
            end: timestamp(start + size.milliseconds()),
            counts,
        });
        bins.collect()
    }

    /// The rows that a bin which starts at `bin_start` is compared with; only a rolling baseline depends on the bin.
    ///
    /// # Errors
    /// `NotFound` for an environment that is not there, listing those that are.
    pub fn baseline(&self, baseline: &BaselineRows, bin_start: Timestamp) -> Result<RowCounts> {
        if let BaselineRows::Environment { name } = baseline {
            self.check_environment(name)?;
        }
        let mut whole = RowCounts::new(&self.binning);
        match baseline.selection(bin_start) {
            Selection::Baseline(window) => {
                for (name, counts) in self.cache.counted().flat_map(|counted| &counted.windows) {
                    if window.as_ref().is_none_or(|window| window == name) {
                        whole.merge(counts);
                    }
                }
            }
            Selection::Events(hours) if hours.is_empty() => {}
            Selection::Events(hours) => {
                for counted in self.cache.counted() {
                    for (_, counts) in counted.hours.range(hours.clone()) {
                        whole.merge(counts);
                    }
                }
            }
        }
        Ok(whole)
    }

    /// The bins of `times` that have events, see [`bins`](Self::bins), each with the rows that it is compared with.
    ///
    /// # Errors
    /// See [`baseline`](Self::baseline).
    pub fn compared(
        &self,
        baseline: &BaselineRows,
        times: &Range<Timestamp>,
        size: BinSize,
    ) -> Result<Vec<(Bin, Arc<RowCounts>)>> {
        let fixed = match baseline {
            BaselineRows::Rolling { .. } => None,
            _ => Some(Arc::new(self.baseline(baseline, times.start)?)),
        };
        let bins = self.bins(times, size).into_iter().map(|bin| {
            let before = match &fixed {
                Some(fixed) => Arc::clone(fixed),
                None => Arc::new(self.baseline(baseline, bin.start)?),
            };
            Ok((bin, before))
        });
        bins.collect()
    }

    /// The Jensen-Shannon distance of the clusters that a bin would have without any drift; `None` if it or the
    /// baseline has no rows.
    pub fn noise_floor(&self, bin: &RowCounts, baseline: &RowCounts) -> Option<f64> {
        let bins = self.binning.clusters();
        let counted = bins > 0 && bin.rows > 0 && baseline.rows > 0;
        counted.then(|| noise_floor(bins, bin.rows, baseline.rows))
    }

    fn check_environment(&self, name: &str) -> Result<()> {
        let environments = self.environments();
        if environments.contains_key(name) {
            return Ok(());
        }
        let message = format!("the model has no baseline rows of an environment `{name}`");
        let error = Error::new(ErrorKind::NotFound, "look up a baseline", message);
        Err(if environments.is_empty() {
            error.remedy("it has no baseline rows at all; publish some")
        } else {
            let names: Vec<String> = environments.into_keys().collect();
            error.remedy(format!("it has: {}", names.join(", ")))
        })
    }
}

impl LearntFrom {
    /// What is in the store: that which the binning depends on, and the events.
    fn look(store: &Store) -> Result<(Self, Vec<StampedPart>)> {
        let parts = store.parts()?.into_iter().map(StampedPart::new);
        let (baseline, events) = parts
            .collect::<Result<Vec<_>>>()?
            .into_iter()
            .partition(|part| part.section == Section::Baseline);
        let learnt_from = Self {
            monitor: store.monitor().clone(),
            centroids: store.clusters()?,
            baseline,
        };
        Ok((learnt_from, events))
    }

    fn binning(&self, classes: &[String]) -> Result<Binning> {
        Binning::learn(
            &self.monitor,
            classes,
            self.centroids.as_ref(),
            &self.baseline,
        )
    }
}

fn again_if_replaced<T>(mut read: impl FnMut() -> Result<T>) -> Result<T> {
    for _ in 1..ATTEMPTS {
        match read() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            other => return other,
        }
    }
    read()
}
