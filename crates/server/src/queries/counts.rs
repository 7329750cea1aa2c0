//! Models whose rows were counted, kept for the next request.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use driftline_core::Result;
use driftline_metrics::StoredModel;
use uuid::Uuid;

use crate::App;
use crate::envelope::Answer;
use crate::objects::Model;

/// Models whose rows were counted.
#[derive(Debug, Default)]
pub struct Counts {
    models: Mutex<HashMap<Uuid, Arc<RwLock<Option<Counted>>>>>,
}

#[derive(Debug)]
struct Counted {
    classes: Vec<String>,
    monitored: StoredModel,
}

impl Counts {
    /// Hands the counts of a model, brought up to date, to `read`. Blocks.
    ///
    /// # Errors
    /// Those of the store, and of `read`.
    pub fn with<T>(
        &self,
        app: &App,
        model: &Model,
        read: impl FnOnce(&StoredModel) -> Answer<T>,
    ) -> Answer<T> {
        let place = {
            let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(models.entry(model.id).or_default())
        };
        {
            let mut counted = place.write().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = update(&mut counted, app, model) {
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
                read(&open(app, model, &classes)?)
            }
        }
    }

    /// Lets go of a model.
    pub fn forget(&self, model: Uuid) {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        models.remove(&model);
    }
}

fn update(counted: &mut Option<Counted>, app: &App, model: &Model) -> Answer<()> {
    let classes = model.monitored()?.class_order;
    match counted {
        Some(counted) if counted.classes == classes => {
            counted.monitored.refresh()?;
        }
        _ => {
            let monitored = open(app, model, &classes)?;
            *counted = Some(Counted { classes, monitored });
        }
    }
    Ok(())
}

fn open(app: &App, model: &Model, classes: &[String]) -> Result<StoredModel> {
    StoredModel::open_with_classes(
        &app.store,
        &model.project_name,
        &model.folder,
        classes.to_vec(),
    )
}
