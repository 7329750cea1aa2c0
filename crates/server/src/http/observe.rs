//! What the server tells about its work: a log line for each request, and `/metrics`.

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use uuid::Uuid;

use crate::App;
use crate::http::envelope::{Answer, ApiError};
use crate::logs;

const KNOWN_METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Upper edges of the bins of request times, in seconds.
const SECONDS: [f64; 9] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0, 600.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: String,
    method: String,
    status: u16,
}

/// A finished job's outcome, as a label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Outcome {
    pub(crate) status: String,
}

/// Counters since the start of the process.
#[derive(Debug)]
pub struct Observed {
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Histogram,
    pub(crate) uploaded_bytes: Counter,
    pub(crate) accepted_rows: Counter,
    pub(crate) duplicate_rows: Counter,
    pub(crate) jobs: Family<Outcome, Counter>,
    pub(crate) connections: Gauge<i64, AtomicI64>,
    pub(crate) worker_restarts: Counter,
    queue: Gauge<u64, AtomicU64>,
}

impl Default for Observed {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("driftline");
        let requests = Family::default();
        registry.register("http_requests", "Answered requests", requests.clone());
        let seconds = Histogram::new(SECONDS);
        registry.register_with_unit(
            "http_request_duration",
            "Time from a request's head to its answer's",
            Unit::Seconds,
            seconds.clone(),
        );
        let uploaded_bytes = Counter::default();
        registry.register_with_unit(
            "uploaded",
            "Bytes of files that were received whole",
            Unit::Bytes,
            uploaded_bytes.clone(),
        );
        let accepted_rows = Counter::default();
        registry.register(
            "rows_accepted",
            "Rows that are now kept",
            accepted_rows.clone(),
        );
        let duplicate_rows = Counter::default();
        registry.register(
            "rows_duplicate",
            "Rows that were there already",
            duplicate_rows.clone(),
        );
        let jobs = Family::default();
        registry.register("jobs", "Finished jobs", jobs.clone());
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        let worker_restarts = Counter::default();
        registry.register(
            "worker_restarts",
            "Failures of the worker, after which it was started again",
            worker_restarts.clone(),
        );
        registry.register(
            "log_lines_lost",
            "Lines of the log that could not be written",
            logs::lost(),
        );
        let queue = Gauge::default();
        registry.register("queued_jobs", "Jobs that wait or run", queue.clone());
        Self {
            registry,
            requests,
            seconds,
            uploaded_bytes,
            accepted_rows,
            duplicate_rows,
            jobs,
            connections,
            worker_restarts,
            queue,
        }
    }
}

/// `/metrics`, in the text form of Prometheus.
pub fn routes() -> Router<App> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(app): State<App>) -> Answer {
    app.blocking(|app| {
        let length = app.catalog.read(|documents| documents.queue_length())?;
        app.observed.queue.set(length);
        let mut text = String::new();
        encode(&mut text, &app.observed.registry).map_err(ApiError::internal)?;
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Ok(([(CONTENT_TYPE, kind)], text).into_response())
    })
    .await
}

/// Tells [`access`] which route it was. A layer for the routes themselves.
pub async fn route(matched: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(matched);
    response
}

/// Gives each request an id, and counts and logs its answer. A layer for `axum::middleware::from_fn_with_state`.
pub async fn access(State(app): State<App>, request: Request, next: Next) -> Response {
    let id = Uuid::new_v4();
    let started = Instant::now();
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let mut response = next.run(request).await;
    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    let route = response
        .extensions()
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str)
        .to_owned();
    tracing::info!(
        target: "driftline_server::access",
        request = %id, %method, path, status, milliseconds = elapsed.as_millis() as u64,
    );
    app.observed.seconds.observe(elapsed.as_secs_f64());
    // Anybody may invent methods; each would be a counter of its own.
    let method = match KNOWN_METHODS.contains(&method.as_str()) {
        true => method.to_string(),
        false => String::new(),
    };
    let labels = Answered {
        route,
        method,
        status,
    };
    app.observed.requests.get_or_create(&labels).inc();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
