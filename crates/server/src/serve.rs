//! The server itself: binds, runs, stops.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use driftline_core::{Error, ErrorKind, Result};
use driftline_report::Pictures;
use driftline_rows::create_folder;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use uuid::Uuid;

use crate::App;
use crate::app::Shared;
use crate::auth::Token;
use crate::catalog::{Catalog, Documents};
use crate::connection::Impatient;
use crate::envelope::{Answer, ApiError};
use crate::housekeeping;
use crate::ingest::Sinks;
use crate::jobs::{self, Jobs};
use crate::limits::Limits;
use crate::observe::Observed;
use crate::queries::Counts;
use crate::uploads::Uploads;

/// Folder of the server inside the store.
pub(crate) const FOLDER: &str = ".driftline";
/// Files and folders in it.
pub(crate) const DATABASE: &str = "server.db";
pub(crate) const LOCK: &str = "server.lock";
pub(crate) const UPLOADS: &str = "uploads";
/// The setting that has the organisation's id.
const ORGANIZATION: &str = "organization_id";

/// What a server is made from.
#[derive(Debug)]
pub struct ServeConfig {
    /// The store's folder; it is made if it is not there.
    pub store: PathBuf,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The token that clients must send; without one it is made at the first start and kept as a digest.
    pub token: Option<String>,
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
    /// [`Limits::stop`](crate::limits::Limits::stop).
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
    /// One server has a store: two workers would take the same jobs. The lock ends with the process.
    lock: File,
    new_token: Option<String>,
}

impl Server {
    /// Opens the store and the address.
    ///
    /// # Errors
    /// `Resource` if the address is taken, the folder cannot be written, or another server has the store; `InvalidData`
    /// or `Unsupported` if `server.db` cannot be used.
    pub fn bind(config: ServeConfig) -> Result<Self> {
        let pictures = Pictures::new(&config.images)?;
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
            pictures,
        });
        Ok(Self {
            app,
            listener,
            address,
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
        runtime.block_on(accept(&self.app, &listener, shutdown));
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

async fn accept(app: &App, listener: &tokio::net::TcpListener, shutdown: &Shutdown) {
    let service = TowerToHyperService::new(app.router());
    let graceful = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(app.limits.connections));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(app.limits.head);
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
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            refuse(stream);
            continue;
        };
        let _best_effort = stream.set_nodelay(true);
        let stream = TokioIo::new(Impatient::new(stream, app.limits.answer));
        let connection = http.serve_connection(stream, service.clone());
        let connection = graceful.watch(connection);
        let open = app.observed.connections.clone();
        open.inc();
        tokio::spawn(async move {
            if let Err(cause) = connection.await {
                tracing::debug!(%cause, "a connection ended early");
            }
            open.dec();
            drop(place);
        });
    }
    let deadline = tokio::time::timeout(app.limits.stop, graceful.shutdown());
    if deadline.await.is_err() {
        tracing::warn!("requests that took too long to finish were cut off");
    }
}

/// Answers a connection that there is no room for. What fits into the socket's buffer is sent without waiting.
fn refuse(mut stream: TcpStream) {
    let body = ApiError::unavailable("the server has no room for another connection")
        .body()
        .to_string();
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    tokio::spawn(async move {
        let sent = async {
            stream.write_all(answer.as_bytes()).await?;
            stream.shutdown().await
        };
        let _gone = tokio::time::timeout(Duration::from_secs(1), sent).await;
    });
}
