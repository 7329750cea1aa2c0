//! The server itself: binds, runs, stops.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftline_core::{Error, ErrorKind, Result};
use driftline_report::Pictures;
use driftline_rows::create_folder;
use uuid::Uuid;

use crate::domain::catalog::{Catalog, Documents};
use crate::domain::error::{self, told};
use crate::domain::housekeeping;
use crate::domain::layout::Layout;
use crate::domain::queries::Counts;
use crate::domain::tally::Tally;
use crate::domain::uploads::Uploads;
use crate::domain::worker::{Pulse, Worker};
use crate::http::accept::accept;
use crate::http::app::App;
use crate::http::auth::Token;
use crate::http::health::Health;
use crate::http::limits::Limits;
use crate::http::observe::Observed;
use crate::http::page::Page;
use crate::http::router::router;
use crate::http::shutdown::Shutdown;
use crate::http::tls::TlsFiles;

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

/// A server that listens, and answers once [`run`](Self::run) is called.
#[derive(Debug)]
pub struct Server {
    app: App,
    page: Page,
    token: Token,
    health: Arc<Health>,
    observed: Arc<Observed>,
    worker: Worker,
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    /// The lock of the store ends with the process.
    lock: File,
    new_token: Option<String>,
}

impl Server {
    /// Opens the store and the address.
    ///
    /// # Errors
    /// `InvalidData`, `NotFound` or `Resource` if certificate and key cannot be used; `Resource` if the address is taken,
    /// the folder cannot be written, or another server has the store; `InvalidData` or `Unsupported` if `server.db` cannot
    /// be used.
    pub fn bind(config: ServeConfig) -> Result<Self> {
        let pictures = Arc::new(Pictures::new(&config.images)?);
        let tls = config.tls.as_ref().map(TlsFiles::load).transpose()?;
        let layout = Layout::of(&config.store);
        create_folder(&layout.folder)?;
        let lock = layout.lock()?;
        let catalog = Arc::new(Catalog::open(&layout.database)?);
        let limits = Arc::new(config.limits);
        let uploads = Uploads::open(&layout.uploads, limits.retention.upload_bytes)?;
        let uploads = Arc::new(uploads);
        let damaged = |operation, error: Error| {
            Error::new(ErrorKind::InvalidData, operation, told(&error).message)
        };
        let (token, new_token) = Token::settle(config.token.as_deref(), &catalog)
            .map_err(|error| damaged("read the token", error))?;
        let organization = catalog
            .change(organization)
            .map_err(|error| damaged("read the catalog", error))?;
        let (listener, address) = listen(config.listen)?;
        let store: Arc<Path> = Arc::from(config.store.as_path());
        let counts = Arc::new(Counts::new(config.store.clone()));
        let (tally, pulse) = (Tally::default(), Arc::new(Pulse::default()));
        let server = Self {
            page: Page {
                store: Arc::clone(&store),
                catalog: Arc::clone(&catalog),
                counts: Arc::clone(&counts),
                pictures,
            },
            health: Arc::new(Health::new(
                Arc::clone(&store),
                Arc::clone(&catalog),
                Arc::clone(&pulse),
                Arc::clone(&limits),
            )),
            observed: Arc::new(Observed::new(
                Arc::clone(&catalog),
                tally.clone(),
                uploads.received(),
            )),
            worker: Worker::new(
                config.store,
                Arc::clone(&catalog),
                Arc::clone(&uploads),
                Arc::clone(&counts),
                tally,
                pulse,
            ),
            app: App {
                store,
                catalog,
                uploads,
                counts,
                limits,
                organization,
            },
            token,
            listener,
            address,
            tls,
            lock,
            new_token,
        };
        if server.is_in_clear() {
            tracing::warn!(
                %address,
                "other machines can connect, and the token travels in clear: give the server a certificate and its \
                 key, or have a proxy speak TLS in front of it"
            );
        }
        Ok(server)
    }

    /// Whether other machines can connect while the token travels in clear.
    pub fn is_in_clear(&self) -> bool {
        self.tls.is_none() && !self.address.ip().is_loopback()
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
        let App {
            catalog,
            uploads,
            limits,
            ..
        } = &self.app;
        let worker = self.worker.start().map_err(failed)?;
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(self.listener).map_err(failed)?
        };
        runtime.spawn(housekeeping::run(
            Arc::clone(catalog),
            Arc::clone(uploads),
            limits.retention,
        ));
        let connections = self.observed.connections.clone();
        let router = router(
            self.app.clone(),
            self.page,
            self.token,
            self.health,
            self.observed,
        );
        runtime.block_on(accept(
            router,
            &listener,
            self.tls,
            limits,
            connections,
            shutdown,
        ));
        catalog.bell().close();
        // What is left of the running job is done again at the next start.
        worker.join_within(limits.stop);
        runtime.shutdown_timeout(limits.stop);
        drop(self.lock);
        Ok(())
    }
}

/// Opens an address.
fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr)> {
    let failed = |cause: io::Error| {
        let message = "the address cannot be listened on";
        Error::new(ErrorKind::Resource, "listen", message)
            .with("address", address)
            .because(cause)
            .remedy("give another address as `serve.listen`, or stop the program that has it")
    };
    let listener = TcpListener::bind(address).map_err(failed)?;
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    Ok((listener, address))
}

/// The id of the store's organisation, made at the first start.
fn organization(documents: &Documents<'_>) -> Result<Uuid> {
    if let Some(kept) = documents.setting(ORGANIZATION)? {
        return kept.parse().map_err(error::internal);
    }
    let made = Uuid::new_v4();
    documents.set(ORGANIZATION, &made.to_string())?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use serde_json::Value;

    use super::*;
    use crate::domain::jobs::{self, JOB, Job, Status};
    use crate::domain::work::Work;

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
        let (catalog, pulse) = (
            Arc::clone(&server.app.catalog),
            Arc::clone(&server.health.pulse),
        );
        let address = server.local_addr();
        let shutdown = Shutdown::default();
        let running = std::thread::spawn({
            let shutdown = shutdown.clone();
            move || server.run(&shutdown).unwrap()
        });
        ready_within_five_seconds(address, 200);

        pulse.faults.store(2, Ordering::Release);
        let work = Work::Inspect { files: Vec::new() };
        let job = catalog
            .change(|documents| jobs::submit(documents, "a test", None, &work))
            .unwrap();
        let parts = ready_within_five_seconds(address, 503);
        assert_eq!(parts["worker"]["ready"], false, "{parts}");
        assert_eq!(parts["worker"]["alive"], true, "{parts}");
        let parts = ready_within_five_seconds(address, 200);
        assert_eq!(parts["worker"]["restarts"], 2, "{parts}");
        let job: Option<Job> = catalog
            .read(|documents| documents.get(JOB, job.id))
            .unwrap();
        assert_eq!(job.unwrap().status, Status::Success);

        catalog.bell().close();
        let parts = ready_within_five_seconds(address, 503);
        assert_eq!(parts["worker"]["alive"], false, "{parts}");
        shutdown.now();
        running.join().unwrap();
    }
}
