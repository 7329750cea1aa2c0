//! Whether the process answers (`/healthz`), and whether it can do its work (`/readyz`). Neither needs the token, and
//! neither says anything about what is stored.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use driftline_core::Result;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

use crate::domain::catalog::{Catalog, Documents, Queued};
use crate::domain::jobs::{JOB, Job};
use crate::domain::worker::{Beat, Pulse};
use crate::http::blocking::blocking;
use crate::http::envelope::{normal, normal_with};
use crate::http::limits::Limits;
use crate::system;

/// A worker without work shows itself more often than this.
const SILENCE: Duration = Duration::from_secs(4);
/// How long the database and the disk may take to answer.
const PROBE: Duration = Duration::from_secs(2);
/// How long an answer serves everybody who asks, so that asking costs nothing.
const FRESH: Duration = Duration::from_millis(500);

/// What readiness is told from, and the last answer of `/readyz`.
#[derive(Debug)]
pub(crate) struct Health {
    store: Arc<Path>,
    catalog: Arc<Catalog>,
    pub(crate) pulse: Arc<Pulse>,
    limits: Arc<Limits>,
    last: Mutex<Option<(Instant, Readiness)>>,
    /// One look at database and disk at a time: one that hangs must not take a thread for each question.
    probes: Arc<Semaphore>,
}

impl Health {
    /// Of the store at `store`.
    pub(crate) fn new(
        store: Arc<Path>,
        catalog: Arc<Catalog>,
        pulse: Arc<Pulse>,
        limits: Arc<Limits>,
    ) -> Self {
        Self {
            store,
            catalog,
            pulse,
            limits,
            last: Mutex::default(),
            probes: Arc::new(Semaphore::new(1)),
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Readiness {
    worker: Worker,
    database: Database,
    queue: Queue,
    disk: Disk,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Worker {
    ready: bool,
    /// Whether its thread runs.
    alive: bool,
    /// How often it failed and was started again.
    restarts: u64,
    heartbeat_seconds: f64,
    /// How long it has been at the job in hand.
    job_seconds: Option<f64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Database {
    ready: bool,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Queue {
    ready: bool,
    /// How long ago the oldest job that waits or runs was accepted.
    oldest_seconds: Option<f64>,
    most_seconds: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
struct Disk {
    ready: bool,
    free_bytes: Option<u64>,
    least_bytes: u64,
}

impl Readiness {
    fn is_ready(&self) -> bool {
        self.worker.ready && self.database.ready && self.queue.ready && self.disk.ready
    }
}

/// `/healthz` and `/readyz`, which need no token.
pub(crate) fn routes() -> Router<Arc<Health>> {
    Router::new()
        .route("/healthz", get(async || normal(json!({"status": "ok"}))))
        .route("/readyz", get(ready))
}

async fn ready(State(health): State<Arc<Health>>) -> Response {
    let readiness = {
        // Whoever comes while another looks waits for its answer.
        let mut last = health.last.lock().await;
        match *last {
            Some((asked, readiness)) if asked.elapsed() < FRESH => readiness,
            _ => {
                let readiness = look(&health).await;
                *last = Some((Instant::now(), readiness));
                readiness
            }
        }
    };
    if readiness.is_ready() {
        normal(readiness)
    } else {
        normal_with(StatusCode::SERVICE_UNAVAILABLE, readiness)
    }
}

async fn look(health: &Health) -> Readiness {
    let probed = probe(health).await;
    let beat = health.pulse.beat();
    let (oldest, free) = probed.unwrap_or_default();
    let seconds = oldest.map(|accepted| {
        let age = Timestamp::now().duration_since(accepted).as_secs_f64();
        age.max(0.0)
    });
    let limits = &health.limits;
    Readiness {
        worker: Worker::of(beat),
        database: Database {
            ready: probed.is_some(),
        },
        queue: Queue {
            ready: seconds.is_none_or(|seconds| seconds <= limits.queue_age.as_secs_f64()),
            oldest_seconds: seconds,
            most_seconds: limits.queue_age.as_secs_f64(),
        },
        disk: Disk {
            ready: free.is_none_or(|free| free >= limits.free_bytes),
            free_bytes: free,
            least_bytes: limits.free_bytes,
        },
    }
}

impl Worker {
    fn of(beat: Beat) -> Self {
        let silence = beat.last.elapsed();
        let at_work = beat.job_since.is_some();
        Self {
            ready: beat.alive && beat.sound && (at_work || silence < SILENCE),
            alive: beat.alive,
            restarts: beat.restarts,
            heartbeat_seconds: silence.as_secs_f64(),
            job_seconds: beat.job_since.map(|since| since.elapsed().as_secs_f64()),
        }
    }
}

/// When the oldest job was accepted, and the free space; `None` if the database does not answer.
async fn probe(health: &Health) -> Option<(Option<Timestamp>, Option<u64>)> {
    let permit = Arc::clone(&health.probes).try_acquire_owned().ok()?;
    let (store, catalog) = (Arc::clone(&health.store), Arc::clone(&health.catalog));
    let looked = blocking(move || {
        let _until_it_is_done = permit;
        let oldest = catalog.read(oldest)?;
        // A disk that does not answer has no room either.
        let free = system::free_bytes(&store).unwrap_or(Some(0));
        Ok((oldest, free))
    });
    tokio::time::timeout(PROBE, looked).await.ok()?.ok()
}

fn oldest(documents: &Documents<'_>) -> Result<Option<Timestamp>> {
    // What cannot be read is mended by the worker.
    let Some(Queued::Work(id, IgnoredAny)) = documents.next_work()? else {
        return Ok(None);
    };
    let job: Option<Job> = documents.get(JOB, id)?;
    Ok(job.map(|job| job.created_at))
}
