//! Models whose rows were counted, kept for the next request.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use driftline_core::Result;
use driftline_metrics::StoredModel;
use uuid::Uuid;

use crate::domain::objects::Model;

/// Models whose rows were counted.
#[derive(Debug)]
pub struct Counts {
    store: PathBuf,
    models: Mutex<HashMap<Uuid, Arc<RwLock<Option<Counted>>>>>,
}

#[derive(Debug)]
struct Counted {
    classes: Vec<String>,
    monitored: StoredModel,
}

impl Counts {
    /// Of the store at `store`.
    pub(crate) fn new(store: PathBuf) -> Self {
        Self {
            store,
            models: Mutex::default(),
        }
    }

    /// Hands the counts of a model, brought up to date, to `read`. Blocks.
    ///
    /// # Errors
    /// Those of the store, and of `read`.
    pub fn with<T>(
        &self,
        model: &Model,
        read: impl FnOnce(&StoredModel) -> Result<T>,
    ) -> Result<T> {
        let place = {
            let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(models.entry(model.id).or_default())
        };
        {
            let mut counted = place.write().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = update(&mut counted, &self.store, model) {
                *counted = None;
                drop(counted);
                self.forget(model.id);
                return Err(error);
            }
        }
        let counted = place.read().unwrap_or_else(PoisonError::into_inner);
        match counted.as_ref() {
            Some(counted) => read(&counted.monitored),
            // Another request met an error in between.
            None => {
                let classes = model.monitored()?.class_order;
                read(&open(&self.store, model, &classes)?)
            }
        }
    }

    /// Lets go of a model.
    pub fn forget(&self, model: Uuid) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.remove(&model);
    }
}

fn update(counted: &mut Option<Counted>, store: &Path, model: &Model) -> Result<()> {
    let classes = model.monitored()?.class_order;
    match counted {
        Some(counted) if counted.classes == classes => {
            counted.monitored.refresh()?;
        }
        _ => {
            let monitored = open(store, model, &classes)?;
            *counted = Some(Counted { classes, monitored });
        }
    }
    Ok(())
}

fn open(store: &Path, model: &Model, classes: &[String]) -> Result<StoredModel> {
    StoredModel::open_with_classes(store, &model.project_name, &model.folder, classes.to_vec())
}
