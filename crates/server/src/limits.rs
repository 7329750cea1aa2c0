//! How much a client may send, and how slowly.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::sync::Semaphore;
use tower_http::timeout::TimeoutBody;

use crate::App;
use crate::envelope::{Answer, ApiError};

const MIB: u64 = 1 << 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The limits of one server.
#[derive(Debug)]
pub struct Limits {
    /// Open connections; one more is answered 503 and closed.
    pub connections: usize,
    /// Bytes of a JSON body.
    pub json_bytes: u64,
    /// Bytes of an uploaded file.
    pub upload_bytes: u64,
    /// The longest that a client may take for the head of a request, and rest between two requests.
    pub head: Duration,
    /// The longest pause inside a body.
    pub pause: Duration,
    /// The longest that a client may take nothing of an answer that waits.
    pub answer: Duration,
    /// The longest that a whole JSON body may take.
    pub json: Duration,
    /// The longest that a whole upload may take.
    pub upload: Duration,
    /// The longest that requests and the running job may take after the server was told to stop.
    pub stop: Duration,
    /// How much of what clients sent is kept, and for how long.
    pub retention: Retention,
    /// Files that are received at the same time.
    pub(crate) uploads: Semaphore,
    /// Files whose schema is inferred at the same time: each holds its sample in memory.
    pub(crate) inferences: Semaphore,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 1_000,
            json_bytes: 16 * MIB,
            upload_bytes: 500 * MIB,
            head: Duration::from_secs(30),
            pause: Duration::from_secs(30),
            answer: Duration::from_secs(30),
            json: Duration::from_secs(60),
            upload: Duration::from_secs(1_800),
            stop: Duration::from_secs(30),
            retention: Retention::default(),
            uploads: Semaphore::new(16),
            inferences: Semaphore::new(1),
        }
    }
}

/// How much of what clients sent is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// How often is looked for what is not needed.
    pub every: Duration,
    /// Bytes of all uploads together, whole, in parts, and being received; one more is refused with 507.
    pub upload_bytes: u64,
    /// How long an upload is kept that no data set and no waiting job names.
    pub uploads_for: Duration,
    /// Finished jobs that are kept, the newest.
    pub jobs: u64,
    /// How long a finished job is kept at most.
    pub jobs_for: Duration,
    /// How long it is kept at least, however many there are: clients ask for it, and send requests again.
    pub jobs_at_least: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(600),
            upload_bytes: 32 << 30,
            uploads_for: 7 * DAY,
            jobs: 100_000,
            jobs_for: 30 * DAY,
            jobs_at_least: Duration::from_secs(600),
        }
    }
}

/// Ends bodies that pause for too long. A layer for `axum::middleware::from_fn_with_state`.
pub async fn body_progress(State(app): State<App>, request: Request, next: Next) -> Response {
    let pause = app.limits.pause;
    let request = request.map(|body| Body::new(TimeoutBody::new(pause, body)));
    next.run(request).await
}

/// The whole body of a request that carries JSON.
pub(crate) async fn whole_body(request: Request, limits: &Limits) -> Answer<Bytes> {
    let most = usize::try_from(limits.json_bytes).unwrap_or(usize::MAX);
    let body = Limited::new(request.into_body(), most).collect();
    match tokio::time::timeout(limits.json, body).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => {
            Err(ApiError::too_large(limits.json_bytes))
        }
        Ok(Err(_)) => Err(ApiError::bad_request("the body ended before it was whole")),
        Err(_) => Err(slow()),
    }
}

/// The answer to a client that takes too long.
pub(crate) fn slow() -> ApiError {
    ApiError::of_status(
        axum::http::StatusCode::REQUEST_TIMEOUT,
        "the body did not arrive in time",
    )
}
