//! Connections: taken, answered, and let go.

use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;

use crate::http::envelope::ApiError;
use crate::http::limits::Limits;
use crate::http::seats::{self, Seat, Seats};
use crate::http::shutdown::Shutdown;
use crate::system;

/// Refusals that are on their way at the same time; a connection beyond them is closed without a word.
const REFUSALS: usize = 16;

/// Takes connections until `shutdown`, and lets those that are there finish.
pub(crate) async fn accept(
    router: Router,
    listener: &TcpListener,
    tls: Option<Arc<ServerConfig>>,
    limits: &Limits,
    connections: Gauge<i64, AtomicI64>,
    shutdown: &Shutdown,
) {
    let seats = seats::number(limits.connections, system::open_files());
    if seats < limits.connections {
        tracing::warn!(
            seats,
            "fewer connections than usual: raise the limit of open files (`ulimit -n`)"
        );
    }
    let seats = Seats::new(seats, connections);
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head);
    let host = Arc::new(Host {
        service: TowerToHyperService::new(router),
        http,
        tls: tls.map(TlsAcceptor::from),
        head: limits.head,
        patience: limits.answer,
    });
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.wanted() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(cause) => {
                // Out of file handles, or a client that left already: neither ends the server.
                tracing::warn!(%cause, "a connection could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(seat) = seats.take().await else {
            // In clear, it would mean nothing to a client that speaks TLS.
            if let (None, Ok(permit)) = (&host.tls, Arc::clone(&refusals).try_acquire_owned()) {
                tokio::spawn(async move {
                    let _until_it_is_sent = permit;
                    refuse(stream).await;
                });
            }
            continue;
        };
        let (host, watcher, shutdown) = (Arc::clone(&host), graceful.watcher(), shutdown.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = host.serve(stream, seat.clone(), watcher, &shutdown) => {}
                () = seat.lost() => tracing::debug!("a connection without the token made room"),
            }
        });
    }
    let deadline = tokio::time::timeout(limits.stop, graceful.shutdown());
    if deadline.await.is_err() {
        tracing::warn!("requests that took too long to finish were cut off");
    }
}

/// What a connection needs to be answered.
struct Host {
    service: TowerToHyperService<Router>,
    http: http1::Builder,
    tls: Option<TlsAcceptor>,
    head: Duration,
    patience: Duration,
}

impl Host {
    async fn serve(&self, stream: TcpStream, seat: Seat, watcher: Watcher, shutdown: &Shutdown) {
        let _best_effort = stream.set_nodelay(true);
        let mut stream = TimeoutStream::new(stream);
        // A client that takes nothing of its answer is let go.
        stream.set_write_timeout(Some(self.patience));
        let stream = Box::pin(stream);
        let Some(tls) = &self.tls else {
            return self.answer(stream, seat, watcher).await;
        };
        let greeted = tokio::select! {
            greeted = tokio::time::timeout(self.head, tls.accept(stream)) => greeted,
            () = shutdown.wanted() => return,
        };
        match greeted {
            Ok(Ok(stream)) => self.answer(stream, seat, watcher).await,
            Ok(Err(cause)) => tracing::debug!(%cause, "a connection did not begin with TLS"),
            Err(_) => tracing::debug!("a connection took too long to begin with TLS"),
        }
    }

    async fn answer<S>(&self, stream: S, seat: Seat, watcher: Watcher)
    where
        S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let service = self.service.clone();
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(seat.clone());
            service.call(request)
        });
        let connection = self.http.serve_connection(TokioIo::new(stream), service);
        if let Err(cause) = watcher.watch(connection).await {
            tracing::debug!(%cause, "a connection ended early");
        }
    }
}

/// Answers a connection that there is no room for. What fits into the socket's buffer is sent without waiting.
async fn refuse(mut stream: TcpStream) {
    let message = "the server has no room for another connection";
    let body = ApiError::of_status(StatusCode::SERVICE_UNAVAILABLE, message)
        .refusal()
        .to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let sent = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    let _gone = tokio::time::timeout(Duration::from_secs(1), sent).await;
}
