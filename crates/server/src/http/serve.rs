//! The server itself: binds, runs, stops.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use driftline_core::{Error, ErrorKind, Result};
use driftline_report::Pictures;
use driftline_rows::create_folder;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use crate::App;
use crate::domain::catalog::{Catalog, Documents};
use crate::domain::housekeeping;
use crate::domain::ingest::Sinks;
use crate::domain::jobs::{self, Jobs};
use crate::domain::queries::Counts;
use crate::domain::uploads::Uploads;
use crate::http::app::Shared;
use crate::http::auth::Token;
use crate::http::connection::Impatient;
use crate::http::envelope::{Answer, ApiError};
use crate::http::health::Health;
use crate::http::limits::Limits;
use crate::http::observe::Observed;
use crate::http::seats::{self, Seat, Seats};
use crate::http::tls::TlsFiles;
use crate::system;

/// Folder of the server inside the store.
pub(crate) const FOLDER: &str = ".driftline";
/// Files and folders in it.
pub(crate) const DATABASE: &str = "server.db";
pub(crate) const LOCK: &str = "server.lock";
pub(crate) const UPLOADS: &str = "uploads";
/// The setting that has the organisation's id.
const ORGANIZATION: &str = "organization_id";
/// Refusals that are on their way at the same time; a connection beyond them is closed without a word.
const REFUSALS: usize = 16;

/// What a server is made from.
#[derive(Debug)]
pub struct ServeConfig {
    /// The store's folder; it is made if it is not there.
    pub store: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The token that clients must send; without one it is made at the first start and kept as a digest.
    pub token: Option<String>,
    /// Certificate and key for TLS; without them everything, the token too, travels in clear.
    pub tls: Option<TlsFiles>,
    /// Folders whose pictures the page may show, see [`Pictures::new`].
    pub images: Vec<PathBuf>,
    /// How much and how slowly clients may send.
    pub limits: Limits,
}

impl ServeConfig {
    /// A server on a free port of the loopback address, with a token of its own.
    pub fn new(store: PathBuf) -> Self {
        Self {
            store,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: None,
            tls: None,
            images: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// Tells a running server to stop. Clones belong together; any thread may call [`now`](Self::now).
#[derive(Debug, Clone)]
pub struct Shutdown(Arc<watch::Sender<bool>>);

impl Default for Shutdown {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Shutdown {
    /// Stop: no new connections; requests and the running job are finished, within
    /// [`Limits::stop`](crate::http::limits::Limits::stop).
    pub fn now(&self) {
        self.0.send_replace(true);
    }

    async fn wanted(&self) {
        let mut receiver = self.0.subscribe();
        // The sender is alive as long as `self`.
        let _closed = receiver.wait_for(|wanted| *wanted).await;
    }
}

/// A server that listens, and answers once [`run`](Self::run) is called.
#[derive(Debug)]
pub struct Server {
    app: App,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    /// One server has a store: two workers would take the same jobs. The lock ends with the process.
    lock: File,
    new_token: Option<String>,
}

impl Server {
    /// Opens the store and the address.
    ///
    /// # Errors
    /// `InvalidData`, `NotFound` or `Resource` if certificate and key cannot be used; `Resource` if the address is taken, the folder cannot be written, or another server has the store; `InvalidData`
    /// or `Unsupported` if `server.db` cannot be used.
    pub fn bind(config: ServeConfig) -> Result<Self> {
        let pictures = Pictures::new(&config.images)?;
        let tls = config.tls.as_ref().map(TlsFiles::load).transpose()?;
        let folder = config.store.join(FOLDER);
        create_folder(&folder)?;
        let lock = lock(&folder.join(LOCK))?;
        let catalog = Catalog::open(&folder.join(DATABASE))?;
        let most = config.limits.retention.upload_bytes;
        let uploads = Uploads::open(&folder.join(UPLOADS), most)?;
        let (token, new_token) = Token::settle(config.token.as_deref(), &catalog)
            .map_err(|error| Error::new(ErrorKind::InvalidData, "read the token", error.message))?;
        let organization = catalog.change(organization).map_err(|error| {
            Error::new(ErrorKind::InvalidData, "read the catalog", error.message)
        })?;
        let failed = |cause: io::Error| {
            Error::new(
                ErrorKind::Resource,
                "listen",
                "the address cannot be listened on",
            )
            .with("address", config.listen)
            .because(cause)
            .remedy("give another address with --listen, or stop the program that has it")
        };
        let listener = TcpListener::bind(config.listen).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        if tls.is_none() && !address.ip().is_loopback() {
            tracing::warn!(
                %address,
                "other machines can connect, and the token travels in clear: give --tls-cert and --tls-key, or \
                 have a proxy speak TLS in front of it"
            );
        }
        let app = App::new(Shared {
            store: config.store,
            catalog,
            uploads,
            sinks: Sinks::default(),
            jobs: Jobs::default(),
            token,
            organization,
            limits: config.limits,
            counts: Counts::default(),
            observed: Observed::default(),
            health: Health::default(),
            pictures,
        });
        Ok(Self {
            app,
            listener,
            address,
            tls,
            lock,
            new_token,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The token, if it was made by this [`bind`](Self::bind): it is kept nowhere and must be shown now.
    pub fn new_token(&self) -> Option<&str> {
        self.new_token.as_deref()
    }

    /// Answers until `shutdown`. Blocks.
    ///
    /// # Errors
    /// `Resource` if threads cannot be started.
    pub fn run(self, shutdown: &Shutdown) -> Result<()> {
        let failed = |cause: io::Error| {
            Error::new(ErrorKind::Resource, "serve", "the server cannot start").because(cause)
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(failed)?;
        let stop = self.app.limits.stop;
        let worker = jobs::start(self.app.clone()).map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener).map_err(failed)?
        };
        runtime.spawn(housekeeping::run(self.app.clone()));
        runtime.block_on(accept(&self.app, &listener, self.tls, shutdown));
        self.app.jobs.stop();
        // What is left of the running job is done again at the next start.
        worker.join_within(stop);
        runtime.shutdown_timeout(stop);
        drop(self.lock);
        Ok(())
    }
}

/// Takes the store for this process, until the file is dropped.
pub(crate) fn lock(path: &Path) -> Result<File> {
    let file = File::create(path).map_err(|e| Error::io("lock the store for a server", path, e))?;
    file.try_lock().map_err(|cause| {
        Error::new(
            ErrorKind::Resource,
            "lock the store for a server",
            "another server has this store",
        )
        .with("file", path.display())
        .because(cause)
        .remedy("stop it, or give another --store")
    })?;
    Ok(file)
}

/// The id of the store's organisation, made at the first start.
fn organization(documents: &Documents<'_>) -> Answer<Uuid> {
    if let Some(kept) = documents.setting(ORGANIZATION)? {
        return kept.parse().map_err(ApiError::internal);
    }
    let made = Uuid::new_v4();
    documents.set(ORGANIZATION, &made.to_string())?;
    Ok(made)
}

/// Takes connections until `shutdown`, and lets those that are there finish.
async fn accept(
    app: &App,
    listener: &tokio::net::TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    shutdown: &Shutdown,
) {
    let seats = seats::number(app.limits.connections, system::open_files());
    if seats < app.limits.connections {
        tracing::warn!(
            seats,
            "fewer connections than usual: raise the limit of open files (`ulimit -n`)"
        );
    }
    let seats = Seats::new(seats, app.observed.connections.clone());
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(app.limits.head);
    let host = Arc::new(Host {
        service: TowerToHyperService::new(app.router()),
        http,
        tls: tls.map(TlsAcceptor::from),
        head: app.limits.head,
        patience: app.limits.answer,
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
    let deadline = tokio::time::timeout(app.limits.stop, graceful.shutdown());
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
        let stream = Impatient::new(stream, self.patience);
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
    let body = ApiError::unavailable("the server has no room for another connection")
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::atomic::Ordering;
    use std::time::Instant;

    use serde_json::Value;

    use super::*;
    use crate::domain::ingest::Work;
    use crate::domain::jobs::{JOB, Job, Status};

    /// Status and data of `/readyz`.
    fn ready(address: SocketAddr) -> (u16, Value) {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream
            .write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        (status, body["data"].clone())
    }

    /// Asks until the status is this one, for at most five seconds.
    fn ready_within_five_seconds(address: SocketAddr, wanted: u16) -> Value {
        let begun = Instant::now();
        loop {
            let (status, parts) = ready(address);
            if status == wanted {
                return parts;
            }
            assert!(begun.elapsed() < Duration::from_secs(5), "{status} {parts}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    #[test]
    fn a_worker_that_fails_shows_and_goes_on_and_one_that_is_gone_shows_too() {
        let folder = tempfile::tempdir().unwrap();
        let server = Server::bind(ServeConfig::new(folder.path().to_owned())).unwrap();
        let (app, address) = (server.app.clone(), server.local_addr());
        let shutdown = Shutdown::default();
        let running = std::thread::spawn({
            let shutdown = shutdown.clone();
            move || server.run(&shutdown).unwrap()
        });
        ready_within_five_seconds(address, 200);

        app.jobs.faults.store(2, Ordering::Release);
        let work = Work::Inspect { files: Vec::new() };
        let job = app
            .change(|documents| jobs::submit(documents, "a test", None, &work))
            .unwrap();
        let parts = ready_within_five_seconds(address, 503);
        assert_eq!(parts["worker"]["ready"], false, "{parts}");
        assert_eq!(parts["worker"]["alive"], true, "{parts}");
        let parts = ready_within_five_seconds(address, 200);
        assert_eq!(parts["worker"]["restarts"], 2, "{parts}");
        let job: Option<Job> = app
            .catalog
            .read(|documents| documents.get(JOB, job.id))
            .unwrap();
        assert_eq!(job.unwrap().status, Status::Success);

        app.jobs.stop();
        let parts = ready_within_five_seconds(address, 503);
        assert_eq!(parts["worker"]["alive"], false, "{parts}");
        shutdown.now();
        running.join().unwrap();
    }
}
