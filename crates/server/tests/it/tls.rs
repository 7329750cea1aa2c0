//! TLS with a certificate of the test's own.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Running, TOKEN};
use driftline_core::ErrorKind;
use driftline_server::{ServeConfig, Server, TlsFiles};
use reqwest::Certificate;
use reqwest::blocking::Client;

/// A certificate for `localhost` that signs itself, made by OpenSSL.
fn certificate(folder: &Path, name: &str) -> TlsFiles {
    let path = |kind: &str| folder.join(format!("{name}.{kind}"));
    let files = TlsFiles {
        certificate: path("crt"),
        key: path("key"),
    };
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(&files.key)
        .arg("-out")
        .arg(&files.certificate)
        .output()
        .expect("the tests of TLS need `openssl`");
    assert!(made.status.success(), "{made:?}");
    files
}

fn config(store: &Path, tls: TlsFiles) -> ServeConfig {
    ServeConfig {
        tls: Some(tls),
        ..ServeConfig::new(store.to_owned())
    }
}

#[test]
fn who_trusts_the_certificate_is_answered_and_nobody_reads_along() {
    let folder = tempfile::tempdir().unwrap();
    let files = certificate(folder.path(), "server");
    let trusted = std::fs::read(&files.certificate).unwrap();
    let server = Running::with(config(&folder.path().join("store"), files));
    let address = server.api.url.trim_start_matches("http://").to_owned();
    let url = format!("https://{address}/v3/server-info");
    let trusting = Client::builder()
        .tls_certs_only([Certificate::from_pem(&trusted).unwrap()])
        .build()
        .unwrap();
    for _ in 0..2 {
        let answer = trusting.get(&url).bearer_auth(TOKEN).send().unwrap();
        assert_eq!(answer.status().as_u16(), 200);
    }
    assert_eq!(trusting.get(&url).send().unwrap().status().as_u16(), 401);
    let other = certificate(folder.path(), "other");
    let other = Certificate::from_pem(&std::fs::read(other.certificate).unwrap()).unwrap();
    let distrusting = Client::builder().tls_certs_only([other]).build().unwrap();
    assert!(distrusting.get(&url).send().is_err());

    let mut clear = TcpStream::connect(&address).unwrap();
    clear
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    let _reset = clear.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn certificates_and_keys_that_cannot_be_used_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let good = certificate(folder.path(), "good");
    let other = certificate(folder.path(), "other");
    let text = folder.path().join("text.pem");
    std::fs::write(&text, "no certificate").unwrap();
    let none = folder.path().join("none.pem");
    let refuse = |certificate: &PathBuf, key: &PathBuf| {
        let files = TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        };
        Server::bind(config(&folder.path().join("store"), files)).unwrap_err()
    };
    for (certificate, key, kind, named) in [
        (&none, &good.key, ErrorKind::NotFound, &none),
        (&text, &good.key, ErrorKind::InvalidData, &text),
        (&good.certificate, &text, ErrorKind::InvalidData, &text),
        (&good.key, &good.key, ErrorKind::InvalidData, &good.key),
        (
            &good.certificate,
            &other.key,
            ErrorKind::InvalidData,
            &other.key,
        ),
    ] {
        let error = refuse(certificate, key);
        assert_eq!(error.kind(), kind, "{error}");
        let named = named.display().to_string();
        assert!(error.to_string().contains(&named), "{error}");
    }
}
