//! Large uploads: flat memory up to the limit, and a refusal beyond it. Answers that nobody reads.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::common::{Process, Running, TOKEN, answer, refused};
use driftline_server::{Limits, ServeConfig};
use reqwest::blocking::multipart;

const MIB: u64 = 1 << 20;
const LIMIT: u64 = 500 * MIB;

/// `length` bytes of text, made as they are read.
struct Filler(u64);

impl Read for Filler {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = (buffer.len() as u64).min(self.0) as usize;
        buffer[..count].fill(b'a');
        self.0 -= count as u64;
        Ok(count)
    }
}

fn form(length: u64) -> multipart::Form {
    let part = multipart::Part::reader_with_length(Filler(length), length).file_name("large.csv");
    multipart::Form::new().part("file", part)
}

#[test]
fn an_upload_of_the_largest_size_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    server.api.project("warm");
    let before = server.peak_mib();
    let (status, value) = answer(
        server
            .api
            .request("POST", "/v3/files/upload")
            .multipart(form(LIMIT)),
    );
    assert_eq!(status, 200, "{value}");
    let id = value["data"]["id"].as_str().unwrap();
    let file = folder.path().join(".driftline/uploads").join(id);
    assert_eq!(file.metadata().unwrap().len(), LIMIT);
    if let (Some(before), Some(after)) = (before, server.peak_mib()) {
        println!("peak memory: {before} MiB before, {after} MiB after an upload of 500 MiB");
        assert!(after - before < 32, "{before} MiB grew to {after} MiB");
    }
}

/// A client that sends one byte too much and reads while it writes.
#[test]
fn a_byte_more_is_refused_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    let mut stream = TcpStream::connect(server.api.url.trim_start_matches("http://")).unwrap();
    let head = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\n";
    let length = head.len() as u64 + LIMIT + 1 + 7;
    write!(
        stream,
        "POST /v3/files/upload HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         content-type: multipart/form-data; boundary=b\r\ncontent-length: {length}\r\n\r\n{head}"
    )
    .unwrap();
    let mut reader = stream.try_clone().unwrap();
    let read = std::thread::spawn(move || {
        let mut bytes = vec![0; 4096];
        let count = reader.read(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    });
    let chunk = vec![b'a'; 1 << 20];
    for _ in 0..500 {
        stream.write_all(&chunk).unwrap();
    }
    // The server may have closed by now.
    let _ = stream.write_all(b"a\r\n--b--");
    let answer = read.join().unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(answer.contains("\"kind\":\"ERROR\""), "{answer}");
    assert_eq!(
        folder
            .path()
            .join(".driftline/uploads")
            .read_dir()
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn json_beyond_its_limit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    let request = server.api.request("POST", "/v3/projects");
    let body = format!("{{\"name\":\"{}\"}}", "a".repeat(17 << 20));
    // The answer may come before all of it was sent, which some clients take for a broken connection.
    match request.body(body).send() {
        Ok(response) => {
            let status = response.status().as_u16();
            let value = serde_json::from_str(&response.text().unwrap()).unwrap();
            refused(&(status, value), 413);
        }
        Err(error) => assert!(error.is_request(), "{error}"),
    }
    assert_eq!(server.api.ok_get("/v3/projects")["total"], 0);
}

/// Six events of 200,000 numbers each, and as many objects as fit into a body.
#[test]
fn json_takes_a_bounded_multiple_of_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    server.api.project("warm");
    let numbers = format!("[{}1]", "0.12345,".repeat(200_000));
    let lists = format!("{{\"x\":[{}1]}}", format!("{numbers},").repeat(6));
    let objects = format!("[{}1]", "{\"\":1},".repeat(2 << 20));
    let senders = [
        (lists.clone(), 400),
        (lists, 400),
        (objects.clone(), 413),
        (objects, 413),
    ];
    let senders = senders.map(|(body, status)| {
        let api = server.api.clone();
        std::thread::spawn(move || {
            refused(
                &answer(api.request("POST", "/v3/projects").body(body)),
                status,
            )
        })
    });
    for sender in senders {
        sender.join().unwrap();
    }
    if let Some(peak) = server.peak_mib() {
        println!("peak memory: {peak} MiB");
        assert!(peak < 640, "{peak} MiB");
    }
}

/// One place, and a client that asks and asks and never reads.
#[test]
fn an_answer_that_nobody_reads_holds_its_place_for_a_while_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.connections = 1;
    limits.answer = Duration::from_millis(500);
    let server = Running::with(ServeConfig {
        limits,
        ..ServeConfig::new(folder.path().to_owned())
    });
    let address = server.api.url.trim_start_matches("http://");
    let mut silent = TcpStream::connect(address).unwrap();
    let timeout = Some(Duration::from_secs(30));
    silent.set_write_timeout(timeout).unwrap();
    let requests = "GET / HTTP/1.1\r\nhost: x\r\n\r\n".repeat(1_000);
    // The answers fill every buffer on the way, then the requests do, until the server lets go.
    let mut sent = 0;
    let error = loop {
        match silent.write_all(requests.as_bytes()) {
            Ok(()) => sent += requests.len(),
            Err(error) => break error,
        }
        assert!(sent < 1 << 30, "the server reads on without an answer");
    };
    let gone = [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe];
    assert!(gone.contains(&error.kind()), "{error}");
    let mut answer = String::new();
    for _ in 0..100 {
        let mut stream = TcpStream::connect(address).unwrap();
        let request = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        let _refused = stream.write_all(request.as_bytes());
        answer.clear();
        let _reset = stream.read_to_string(&mut answer);
        if answer.starts_with("HTTP/1.1 200") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(silent);
}
