//! TLS: the server's certificate and key, from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use driftline_core::{Error, ErrorKind, Result};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

const OPERATION: &str = "read the TLS certificate";

/// The files that TLS needs.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, and after it those that lead to one that clients trust.
    pub certificate: PathBuf,
    /// The key of the certificate: PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

impl TlsFiles {
    /// The settings of a server that has them.
    ///
    /// # Errors
    /// `NotFound` or `Resource` if a file cannot be read, `InvalidData` if it is not what it should be, or if the key
    /// belongs to another certificate.
    pub(crate) fn load(&self) -> Result<Arc<ServerConfig>> {
        let certificates = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(|found| found.collect::<Result<Vec<_>, _>>())
            .map_err(|cause| unread(&self.certificate, cause))?;
        if certificates.is_empty() {
            return Err(unread(&self.certificate, pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|e| unread(&self.key, e))?;
        let refused = |cause: rustls::Error| {
            Error::new(
                ErrorKind::InvalidData,
                OPERATION,
                "certificate and key cannot be used",
            )
            .with("certificate", self.certificate.display())
            .with("key", self.key.display())
            .because(cause)
            .remedy("give a certificate and the key that was made with it")
        };
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(refused)?
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .map_err(refused)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

fn unread(path: &Path, cause: pem::Error) -> Error {
    match cause {
        pem::Error::Io(cause) => Error::io(OPERATION, path, cause),
        pem::Error::NoItemsFound => Error::new(
            ErrorKind::InvalidData,
            OPERATION,
            "the file has no certificate or key in PEM form",
        )
        .with("file", path.display())
        .remedy("convert it with `openssl x509` or `openssl pkey`"),
        cause => Error::new(ErrorKind::InvalidData, OPERATION, "the file is damaged")
            .with("file", path.display())
            .because(cause),
    }
}
