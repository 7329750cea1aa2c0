//! What the server tells about its work: a log line for each request, and `/metrics`.

use std::sync::Arc;
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

use crate::domain::catalog::Catalog;
use crate::domain::error;
use crate::domain::tally::Tally;
use crate::http::blocking::blocking;
use crate::http::envelope::Answer;
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

/// Counters since the start of the process.
#[derive(Debug)]
pub(crate) struct Observed {
    catalog: Arc<Catalog>,
    registry: Registry,
    requests: Family<Answered, Counter>,
    seconds: Histogram,
    pub(crate) connections: Gauge<i64, AtomicI64>,
    queue: Gauge<u64, AtomicU64>,
}

impl Observed {
    /// Of a worker that counts in `tally`, and of uploads that count their bytes in `received`.
    pub(crate) fn new(catalog: Arc<Catalog>, tally: Tally, received: Counter) -> Self {
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
        registry.register_with_unit(
            "uploaded",
            "Bytes of files that were received whole",
            Unit::Bytes,
            received,
        );
        registry.register(
            "rows_accepted",
            "Rows that are now kept",
            tally.accepted_rows,
        );
        registry.register(
            "rows_duplicate",
            "Rows that were there already",
            tally.duplicate_rows,
        );
        registry.register("jobs", "Finished jobs", tally.jobs);
        let connections = Gauge::default();
        registry.register("connections", "Open connections", connections.clone());
        registry.register(
            "worker_restarts",
            "Failures of the worker, after which it was started again",
            tally.worker_restarts,
        );
        registry.register(
            "log_lines_lost",
            "Lines of the log that could not be written",
            logs::lost(),
        );
        let queue = Gauge::default();
        registry.register("queued_jobs", "Jobs that wait or run", queue.clone());
        Self {
            catalog,
            registry,
            requests,
            seconds,
            connections,
            queue,
        }
    }
}

/// `/metrics`, in the text form of Prometheus.
pub(crate) fn routes() -> Router<Arc<Observed>> {
    Router::new().route("/metrics", get(metrics))
}

async fn metrics(State(observed): State<Arc<Observed>>) -> Answer {
    blocking(move || {
        let length = observed.catalog.read(|it| it.queue_length())?;
        observed.queue.set(length);
        let mut text = String::new();
        encode(&mut text, &observed.registry).map_err(error::internal)?;
        let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
        Ok(([(CONTENT_TYPE, kind)], text).into_response())
    })
    .await
}

/// Tells [`access`] which route it was. A layer for the routes themselves.
pub(crate) async fn route(matched: MatchedPath, request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.extensions_mut().insert(matched);
    response
}

/// Gives each request an id, and counts and logs its answer. A layer for `axum::middleware::from_fn_with_state`.
pub(crate) async fn access(
    State(observed): State<Arc<Observed>>,
    request: Request,
    next: Next,
) -> Response {
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
    observed.seconds.observe(elapsed.as_secs_f64());
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
    observed.requests.get_or_create(&labels).inc();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
