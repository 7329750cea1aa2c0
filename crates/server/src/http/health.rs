//! Whether the process answers (`/healthz`), and whether it can do its work (`/readyz`). Neither needs the token, and
//! neither says anything about what is stored.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::IgnoredAny;
use serde_json::json;
use tokio::sync::{Mutex, Semaphore};

use crate::App;
use crate::domain::catalog::{Documents, Queued};
use crate::domain::jobs::{JOB, Job, Pulse};
use crate::http::envelope::{Answer, normal, normal_with};
use crate::system;

/// A worker without work shows itself more often than this.
const SILENCE: Duration = Duration::from_secs(4);
/// How long the database and the disk may take to answer.
const PROBE: Duration = Duration::from_secs(2);
/// How long an answer serves everybody who asks, so that asking costs nothing.
const FRESH: Duration = Duration::from_millis(500);

/// The last answer of `/readyz`.
#[derive(Debug)]
pub struct Health {
    last: Mutex<Option<(Instant, Readiness)>>,
    /// One look at database and disk at a time: one that hangs must not take a thread for each question.
    probes: Arc<Semaphore>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
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
pub fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(async || normal(json!({"status": "ok"}))))
        .route("/readyz", get(ready))
}

async fn ready(State(app): State<App>) -> Response {
    let readiness = {
        // Whoever comes while another looks waits for its answer.
        let mut last = app.health.last.lock().await;
        match *last {
            Some((asked, readiness)) if asked.elapsed() < FRESH => readiness,
            _ => {
                let readiness = look(&app).await;
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

async fn look(app: &App) -> Readiness {
    let probed = probe(app).await;
    let pulse = app.jobs.pulse();
    let (oldest, free) = probed.unwrap_or_default();
    let seconds = oldest.map(|accepted| {
        let age = Timestamp::now().duration_since(accepted).as_secs_f64();
        age.max(0.0)
    });
    let limits = &app.limits;
    Readiness {
        worker: Worker::of(pulse),
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
    fn of(pulse: Pulse) -> Self {
        let silence = pulse.last.elapsed();
        let at_work = pulse.job_since.is_some();
        Self {
            ready: pulse.alive && pulse.sound && (at_work || silence < SILENCE),
            alive: pulse.alive,
            restarts: pulse.restarts,
            heartbeat_seconds: silence.as_secs_f64(),
            job_seconds: pulse.job_since.map(|since| since.elapsed().as_secs_f64()),
        }
    }
}

/// When the oldest job was accepted, and the free space; `None` if the database does not answer.
async fn probe(app: &App) -> Option<(Option<Timestamp>, Option<u64>)> {
    let permit = Arc::clone(&app.health.probes).try_acquire_owned().ok()?;
    let looked = app.blocking(move |app| {
        let _until_it_is_done = permit;
        let oldest = app.catalog.read(oldest)?;
        // A disk that does not answer has no room either.
        let free = system::free_bytes(&app.store).unwrap_or(Some(0));
        Ok((oldest, free))
    });
    tokio::time::timeout(PROBE, looked).await.ok()?.ok()
}

fn oldest(documents: &Documents<'_>) -> Answer<Option<Timestamp>> {
    // What cannot be read is mended by the worker.
    let Some(Queued::Work(id, IgnoredAny)) = documents.next_work()? else {
        return Ok(None);
    };
    let job: Option<Job> = documents.get(JOB, id)?;
    Ok(job.map(|job| job.created_at))
}
