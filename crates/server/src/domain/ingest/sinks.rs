//! Writers that stay prepared between jobs: preparing one reads the end of every file of its model.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use driftline_core::{MonitorSpec, Result};
use driftline_sink_local::LocalSink;
use uuid::Uuid;

use crate::domain::objects::Model;

/// Writers that are kept.
const MOST: usize = 16;

/// The writers of models that had rows lately.
#[derive(Debug)]
pub(super) struct Sinks {
    store: PathBuf,
    prepared: Mutex<HashMap<Uuid, (MonitorSpec, LocalSink)>>,
}

impl Sinks {
    /// Of the store at `store`.
    pub(super) fn new(store: PathBuf) -> Self {
        Self {
            store,
            prepared: Mutex::default(),
        }
    }

    /// Hands the writer of a model to `write`. `dataset` is the name of its baseline, if its folder is made now.
    pub(super) fn with<T>(
        &self,
        model: &Model,
        dataset: &str,
        write: impl FnOnce(&mut LocalSink) -> Result<T>,
    ) -> Result<T> {
        let kept = self.locked().remove(&model.id);
        // The folder may have been removed, or made anew, by somebody else.
        let now = || model.open(&self.store).map(|store| store.monitor().clone());
        let still = |spec: &MonitorSpec| now().is_ok_and(|now| now == *spec);
        let mut sink = match kept {
            Some((spec, sink)) if still(&spec) => sink,
            _ => model.sink(&self.store, dataset)?,
        };
        let value = write(&mut sink)?;
        let spec = now()?;
        let mut prepared = self.locked();
        if prepared.len() >= MOST {
            prepared.clear();
        }
        prepared.insert(model.id, (spec, sink));
        Ok(value)
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<Uuid, (MonitorSpec, LocalSink)>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
