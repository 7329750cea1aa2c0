//! Writers that stay prepared between jobs: preparing one reads the end of every file of its model.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use driftline_core::MonitorSpec;
use driftline_sink_local::LocalSink;
use uuid::Uuid;

use crate::App;
use crate::domain::objects::Model;
use crate::http::envelope::Answer;

/// Writers that are kept.
const MOST: usize = 16;

/// The writers of models that had rows lately.
#[derive(Debug, Default)]
pub struct Sinks {
    prepared: Mutex<HashMap<Uuid, (MonitorSpec, LocalSink)>>,
}

impl Sinks {
    /// Hands the writer of a model to `write`. `dataset` is the name of its baseline, if its folder is made now.
    pub(crate) fn with<T>(
        &self,
        app: &App,
        model: &Model,
        dataset: &str,
        write: impl FnOnce(&mut LocalSink) -> Answer<T>,
    ) -> Answer<T> {
        let kept = self.locked().remove(&model.id);
        // The folder may have been removed, or made anew, by somebody else.
        let still = |spec: &MonitorSpec| model.open(app).is_ok_and(|store| store.monitor() == spec);
        let mut sink = match kept {
            Some((spec, sink)) if still(&spec) => sink,
            _ => model.sink(app, dataset)?,
        };
        let value = write(&mut sink)?;
        let spec = model.open(app)?.monitor().clone();
        let mut prepared = self.locked();
        if prepared.len() >= MOST {
            prepared.clear();
        }
        prepared.insert(model.id, (spec, sink));
        Ok(value)
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, (MonitorSpec, LocalSink)>> {
        self.prepared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
