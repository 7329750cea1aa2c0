//! What is removed when nobody needs it any more: uploads, and the documents of jobs and uploads.

use std::sync::Arc;
use std::time::Duration;

use driftline_core::Result;
use jiff::{SignedDuration, Timestamp};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::domain::catalog::{Catalog, Kept};
use crate::domain::jobs::JOB;
use crate::domain::retention::Retention;
use crate::domain::uploads::Uploads;
use crate::domain::{datasets, error, files};

/// Keeps house until the server stops.
pub(crate) async fn run(catalog: Arc<Catalog>, uploads: Arc<Uploads>, retention: Retention) {
    let mut pulse = tokio::time::interval(retention.every);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pulse.tick().await;
        let (catalog, uploads) = (Arc::clone(&catalog), Arc::clone(&uploads));
        let tidied = tokio::task::spawn_blocking(move || tidy(&catalog, &uploads, retention));
        if let Err(error) = tidied.await.map_err(error::internal).flatten() {
            tracing::warn!(
                message = error.message(),
                "what is not needed could not be removed"
            );
        }
    }
}

fn tidy(catalog: &Catalog, uploads: &Uploads, retention: Retention) -> Result<()> {
    for id in uploads.abandoned(retention.uploads_for)? {
        remove_unneeded(catalog, uploads, id)?;
    }
    let now = Timestamp::now();
    let forgotten = catalog.change(|documents| {
        files::forget_old(uploads, documents, before(now, retention.uploads_for))?;
        let kept = Kept {
            most: retention.jobs,
            since: before(now, retention.jobs_for),
            settled: before(now, retention.jobs_at_least),
        };
        documents.forget_done(JOB, kept)
    })?;
    if forgotten > 0 {
        tracing::info!(forgotten, "finished jobs were forgotten");
    }
    Ok(())
}

/// Removes an upload, unless a waiting job or a data set names it. No job is accepted meanwhile. Blocks.
pub(crate) fn remove_unneeded(catalog: &Catalog, uploads: &Uploads, id: Uuid) -> Result<()> {
    let removed = catalog.read(|documents| {
        let needed = documents.is_named(id)? || datasets::files(documents)?.contains(&id);
        if !needed {
            uploads.remove(id)?;
        }
        Ok(!needed)
    })?;
    if removed {
        uploads.remove_parts(id)?;
    }
    Ok(())
}

/// Removes uploads as [`remove_unneeded`] does. Blocks.
pub(crate) fn remove_all_unneeded(
    catalog: &Catalog,
    uploads: &Uploads,
    ids: impl IntoIterator<Item = Uuid>,
) -> Result<()> {
    ids.into_iter()
        .try_for_each(|id| remove_unneeded(catalog, uploads, id))
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}
