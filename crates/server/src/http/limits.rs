//! How much a client may send, and how slowly.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower_http::timeout::TimeoutBody;

use crate::domain::error;
use crate::domain::retention::Retention;
use crate::http::envelope::{Answer, ApiError};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// JSON bodies that are received or worked on at the same time, in KiB.
const BODIES_KIB: u32 = 64 << 10;
/// Memory for what JSON bodies hold once they are read, in KiB; one body that needs more is refused.
const VALUES_KIB: u32 = 512 << 10;
/// A body up to this size always has room.
const SMALL: u64 = 16 * KIB;

/// The limits of one server.
#[derive(Debug)]
pub struct Limits {
    /// Open connections, where the limit of open files allows as many. Clients without the token have three quarters of
    /// them at most, and make room for a new connection; if clients with it have all, one more is answered 503 and closed.
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
    /// The longest that a job may wait and run while the server calls itself ready.
    pub queue_age: Duration,
    /// The least free space on the store's disk with which the server calls itself ready.
    pub free_bytes: u64,
    /// Files that are received at the same time.
    pub(crate) uploads: Semaphore,
    /// Files whose schema is inferred at the same time: each holds its sample in memory.
    pub(crate) inferences: Semaphore,
    /// Room for JSON bodies as they come, in KiB.
    bodies: Arc<Semaphore>,
    /// Room for JSON bodies as they are once they are read, in KiB.
    values: Arc<Semaphore>,
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
            queue_age: Duration::from_secs(600),
            free_bytes: 1 << 30,
            uploads: Semaphore::new(16),
            inferences: Semaphore::new(1),
            bodies: Arc::new(Semaphore::new(BODIES_KIB as usize)),
            values: Arc::new(Semaphore::new(VALUES_KIB as usize)),
        }
    }
}

/// Room for the body of one request, held until the request is answered.
#[derive(Debug, Clone, Default)]
struct Room(Arc<Mutex<Vec<OwnedSemaphorePermit>>>);

impl Room {
    /// Waits until there is as much.
    async fn take(&self, all: &Arc<Semaphore>, kib: u32, limits: &Limits) -> Answer<()> {
        let permit = tokio::time::timeout(limits.json, Arc::clone(all).acquire_many_owned(kib))
            .await
            .map_err(|_| {
                let message = "too many large bodies are on their way";
                ApiError::of_status(StatusCode::SERVICE_UNAVAILABLE, message)
            })?
            .map_err(error::internal)?;
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(permit);
        Ok(())
    }
}

/// Ends bodies that pause for too long, and keeps their room. A layer for `axum::middleware::from_fn_with_state`.
pub(crate) async fn body_progress(
    State(limits): State<Arc<Limits>>,
    request: Request,
    next: Next,
) -> Response {
    let pause = limits.pause;
    let room = Room::default();
    let mut request = request.map(|body| Body::new(TimeoutBody::new(pause, body)));
    request.extensions_mut().insert(room.clone());
    let response = next.run(request).await;
    drop(room);
    response
}

/// The whole body of a request that carries JSON.
pub(crate) async fn whole_body(request: Request, limits: &Limits) -> Answer<Bytes> {
    let room = request.extensions().get::<Room>().cloned();
    let room = room.unwrap_or_default();
    let longest = length(request.headers(), limits);
    if longest > SMALL {
        let kib = kib(longest).min(BODIES_KIB);
        room.take(&limits.bodies, kib, limits).await?;
    }
    let most = usize::try_from(limits.json_bytes).unwrap_or(usize::MAX);
    let body = Limited::new(request.into_body(), most).collect();
    let body = match tokio::time::timeout(limits.json, body).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(cause)) if cause.is::<LengthLimitError>() => {
            return Err(error::too_large(limits.json_bytes).into());
        }
        Ok(Err(_)) => return Err(ended()),
        Err(_) => return Err(slow()),
    };
    if longest > SMALL {
        let kib = kib(memory(&body));
        if kib > VALUES_KIB {
            return Err(ApiError::of_status(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!(
                    "the body holds more values than fit into {} MiB",
                    VALUES_KIB >> 10
                ),
            ));
        }
        room.take(&limits.values, kib, limits).await?;
    }
    Ok(body)
}

fn kib(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX)
}

/// The most memory that a JSON text takes once it is read: numbers and short strings take many times their length, and
/// lists and objects most of all. While a list grows there are up to three times its values; an object is half empty.
fn memory(json: &[u8]) -> u64 {
    const VALUE: u64 = 4 * size_of::<Value>() as u64;
    const LIST: u64 = 4 * size_of::<Value>() as u64;
    const OBJECT: u64 = 12 * (size_of::<String>() + size_of::<Value>()) as u64;
    let mut bytes = json.len() as u64;
    let (mut text, mut escaped) = (false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if text => escaped = true,
            b'"' => text = !text,
            _ if text => {}
            b',' => bytes += VALUE,
            b'[' => bytes += VALUE + LIST,
            b'{' => bytes += VALUE + OBJECT,
            _ => {}
        }
    }
    bytes
}

/// The most bytes that a body with these headers brings.
fn length(headers: &HeaderMap, limits: &Limits) -> u64 {
    let told = headers.get(CONTENT_LENGTH);
    match told.and_then(|told| told.to_str().ok()?.parse().ok()) {
        Some(told) => limits.json_bytes.min(told),
        None if headers.contains_key(TRANSFER_ENCODING) => limits.json_bytes,
        None => 0,
    }
}

/// A client that went away, or sent less than it said.
pub(crate) fn ended() -> ApiError {
    error::invalid("the body ended before it was whole").into()
}

/// The answer to a client that takes too long.
pub(crate) fn slow() -> ApiError {
    ApiError::of_status(
        StatusCode::REQUEST_TIMEOUT,
        "the body did not arrive in time",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_weighs_its_length_and_values_weigh_more() {
        let text = br#""a, [long] {text} with \" and \\ in it""#;
        assert_eq!(memory(text), text.len() as u64);
        assert!(memory(b"[1,1,1,1]") > 4 * size_of::<Value>() as u64);
        assert!(memory(br#"[{"":1},{"":1}]"#) > 2 * 11 * size_of::<(String, Value)>() as u64);
        assert!(memory(br#""\\",["#) > 100);
    }
}
