//! What is removed when nobody needs it any more: uploads, and the documents of jobs and uploads.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use crate::App;
use crate::domain::catalog::Kept;
use crate::domain::jobs::JOB;
use crate::http::envelope::Answer;
use crate::http::legacy::datasets;
use crate::http::v3::files;

/// Keeps house until the server stops.
pub(crate) async fn run(app: App) {
    let mut pulse = tokio::time::interval(app.limits.retention.every);
    pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        pulse.tick().await;
        if let Err(error) = app.blocking(tidy).await {
            tracing::warn!(
                message = error.message,
                "what is not needed could not be removed"
            );
        }
    }
}

fn tidy(app: &App) -> Answer<()> {
    let kept = app.limits.retention;
    for id in app.uploads.abandoned(kept.uploads_for)? {
        remove_unneeded(app, id)?;
    }
    let now = Timestamp::now();
    let forgotten = app.catalog.change(|documents| {
        files::forget_old(app, documents, before(now, kept.uploads_for))?;
        let kept = Kept {
            most: kept.jobs,
            since: before(now, kept.jobs_for),
            settled: before(now, kept.jobs_at_least),
        };
        documents.forget_done(JOB, kept)
    })?;
    if forgotten > 0 {
        tracing::info!(forgotten, "finished jobs were forgotten");
    }
    Ok(())
}

/// Removes an upload, unless a waiting job or a data set names it. No job is accepted meanwhile. Blocks.
pub(crate) fn remove_unneeded(app: &App, id: Uuid) -> Answer<()> {
    let removed = app.catalog.read(|documents| {
        let needed = documents.is_named(id)? || datasets::files(documents)?.contains(&id);
        if !needed {
            app.uploads.remove(id)?;
        }
        Ok(!needed)
    })?;
    if removed {
        app.uploads.remove_parts(id)?;
    }
    Ok(())
}

fn before(now: Timestamp, age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}
