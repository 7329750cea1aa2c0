//! Downloads from a local server that also truncates, stalls and lies.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use driftline_core::{ErrorKind, Result};
use driftline_fetch::{Artifact, Cache, Patience};

const SIZE: usize = 300_000;

fn content() -> Vec<u8> {
    (0..SIZE as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

const ARTIFACT: Artifact = Artifact {
    name: "test bytes",
    url: "http://127.0.0.1:9/nothing-listens-here",
    file_name: "bytes.bin",
    size: SIZE as u64,
    sha256: "136f334d647619879743ff33fde1ac6547f40e314692441f2a125e087cad47c9",
};

/// A request as far as the tests look at it.
struct Request {
    /// Count of requests before this one.
    nth: usize,
    /// First byte asked for.
    from: Option<usize>,
    if_range: Option<String>,
    path: String,
}

impl Request {
    fn read(nth: usize, stream: &mut TcpStream) -> Option<Self> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).ok()?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let field = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(": ")?;
                key.eq_ignore_ascii_case(name).then(|| value.to_owned())
            })
        };
        let from = field("range").map(|range| {
            let start = range.strip_prefix("bytes=").unwrap();
            start.strip_suffix('-').unwrap().parse().unwrap()
        });
        Some(Self {
            nth,
            from,
            if_range: field("if-range"),
            path: head.split(' ').nth(1).unwrap().to_owned(),
        })
    }
}

/// What was asked for: first byte and If-Range of each request.
type Seen = Arc<Mutex<Vec<(Option<usize>, Option<String>)>>>;

/// Serves each connection with one answer; gives the address and what was asked for.
fn serve(answer: impl Fn(&Request, &mut TcpStream) + Send + 'static) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/files/", listener.local_addr().unwrap());
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    thread::spawn(move || {
        for (nth, stream) in listener.incoming().enumerate() {
            let mut stream = stream.unwrap();
            if let Some(request) = Request::read(nth, &mut stream) {
                log.lock()
                    .unwrap()
                    .push((request.from, request.if_range.clone()));
                answer(&request, &mut stream);
            }
        }
    });
    (address, seen)
}

fn send(stream: &mut TcpStream, status: &str, headers: &str, length: usize, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
    );
    // The client hangs up when it has seen enough.
    let _ = stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body));
}

fn send_from(stream: &mut TcpStream, from: usize, end: usize) {
    let content = content();
    let range = format!(
        "Content-Range: bytes {from}-{}/{SIZE}\r\nETag: \"v1\"\r\n",
        SIZE - 1
    );
    send(
        stream,
        "206 Partial Content",
        &range,
        SIZE - from,
        &content[from..end],
    );
}

fn cache(folder: &Path, mirror: &str) -> Cache {
    Cache::at(folder)
        .with_mirror(mirror)
        .with_patience(Patience {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            attempts: 4,
            pause: Duration::from_millis(1),
        })
}

fn fetch(cache: &Cache) -> Result<Vec<u8>> {
    cache
        .fetch(&ARTIFACT, &mut |_| {})
        .map(|path| fs::read(path).unwrap())
}

/// The error of a fetch that must fail; nothing of a bad file stays.
fn failure(answer: impl Fn(&Request, &mut TcpStream) + Send + 'static) -> (String, usize) {
    let folder = tempfile::tempdir().unwrap();
    let (mirror, seen) = serve(answer);
    let error = fetch(&cache(folder.path(), &mirror)).unwrap_err();
    assert_eq!(files(folder.path()), ["bytes.bin.lock"], "{error}");
    let requests = seen.lock().unwrap().len();
    (error.to_string(), requests)
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_is_downloaded_once_with_progress() {
    let folder = tempfile::tempdir().unwrap();
    let (mirror, seen) = serve(|request, stream| {
        assert_eq!(request.path, "/files/bytes.bin");
        send(stream, "200 OK", "ETag: \"v1\"\r\n", SIZE, &content());
    });
    let cache = cache(folder.path(), &mirror);
    let mut received = Vec::new();
    let path = cache
        .fetch(&ARTIFACT, &mut |progress| {
            assert_eq!(progress.total, SIZE as u64);
            received.push(progress.received);
        })
        .unwrap();
    assert_eq!(fs::read(&path).unwrap(), content());
    assert!(received.is_sorted(), "{received:?}");
    assert_eq!(
        (received.first(), received.last()),
        (Some(&0), Some(&ARTIFACT.size))
    );
    assert_eq!(fetch(&cache).unwrap(), content());
    assert_eq!(seen.lock().unwrap().len(), 1);
    assert_eq!(files(folder.path()), ["bytes.bin", "bytes.bin.lock"]);
}

#[test]
fn a_file_that_was_damaged_in_the_cache_is_downloaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mirror, seen) = serve(|_, stream| send(stream, "200 OK", "", SIZE, &content()));
    let cache = cache(folder.path(), &mirror);
    let mut damaged = content();
    damaged[1234] ^= 1;
    fs::write(cache.path(&ARTIFACT), damaged).unwrap();
    assert_eq!(fetch(&cache).unwrap(), content());
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[test]
fn a_broken_download_is_continued() {
    let folder = tempfile::tempdir().unwrap();
    let (mirror, seen) = serve(|request, stream| match request.from {
        None => send(
            stream,
            "200 OK",
            "ETag: \"v1\"\r\n",
            SIZE,
            &content()[..100_000],
        ),
        Some(from) if request.nth == 1 => send_from(stream, from, from + 50_000),
        Some(from) => send_from(stream, from, SIZE),
    });
    assert_eq!(fetch(&cache(folder.path(), &mirror)).unwrap(), content());
    let tag = || Some("\"v1\"".to_owned());
    assert_eq!(
        *seen.lock().unwrap(),
        [(None, None), (Some(100_000), tag()), (Some(150_000), tag())]
    );
}

#[test]
fn another_call_continues_what_was_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let (mirror, _) = serve(|request, stream| {
        let from = request.from.unwrap_or(0);
        if from == 0 {
            send(stream, "200 OK", "", SIZE, &content()[..10]);
        } else {
            send_from(stream, from, from + 10);
        }
    });
    let error = fetch(&cache(folder.path(), &mirror)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_retryable());
    let text = error.to_string();
    assert!(
        text.contains("broke off after 40 of 300000 bytes"),
        "{text}"
    );
    assert!(text.contains("attempts: 4"), "{text}");
    let (mirror, seen) = serve(|request, stream| send_from(stream, request.from.unwrap(), SIZE));
    assert_eq!(fetch(&cache(folder.path(), &mirror)).unwrap(), content());
    assert_eq!(*seen.lock().unwrap(), [(Some(40), None)]);
}

#[test]
fn a_server_without_ranges_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mirror, seen) = serve(|request, stream| {
        let sent = if request.nth == 0 { 100_000 } else { SIZE };
        send(stream, "200 OK", "", SIZE, &content()[..sent]);
    });
    assert_eq!(fetch(&cache(folder.path(), &mirror)).unwrap(), content());
    assert_eq!(seen.lock().unwrap()[1].0, Some(100_000));
}

#[test]
fn a_part_of_another_file_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bytes.bin.part"), [7; 1000]).unwrap();
    let (mirror, seen) = serve(|request, stream| match request.from {
        Some(from) => send_from(stream, from, SIZE),
        None => send(stream, "200 OK", "", SIZE, &content()),
    });
    assert_eq!(fetch(&cache(folder.path(), &mirror)).unwrap(), content());
    assert_eq!(*seen.lock().unwrap(), [(Some(1000), None), (None, None)]);
}

#[test]
fn a_range_that_was_not_asked_for_is_not_appended() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bytes.bin.part"), &content()[..1000]).unwrap();
    let (mirror, _) = serve(|request, stream| match request.from {
        Some(from) => send_from(stream, from + 1, SIZE),
        None => send(stream, "200 OK", "", SIZE, &content()),
    });
    assert_eq!(fetch(&cache(folder.path(), &mirror)).unwrap(), content());
}

#[test]
fn a_stalled_server_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mirror, seen) = serve(|request, stream| match request.from {
        None => {
            send(stream, "200 OK", "", SIZE, &content()[..100_000]);
            // The connection stays open, and nothing more comes.
            std::mem::forget(stream.try_clone().unwrap());
        }
        Some(from) => send_from(stream, from, SIZE),
    });
    let cache = cache(folder.path(), &mirror).with_patience(Patience {
        stall: Duration::from_millis(300),
        pause: Duration::from_millis(1),
        ..Patience::default()
    });
    assert_eq!(fetch(&cache).unwrap(), content());
    assert_eq!(seen.lock().unwrap()[1].0, Some(100_000));
}

#[test]
fn a_busy_server_is_asked_again() {
    let folder = tempfile::tempdir().unwrap();
    let (mirror, seen) = serve(|request, stream| match request.nth {
        0 => send(stream, "429 Too Many Requests", "", 0, b""),
        1 => send(stream, "500 Internal Server Error", "", 4, b"oops"),
        _ => send(stream, "200 OK", "", SIZE, &content()),
    });
    assert_eq!(fetch(&cache(folder.path(), &mirror)).unwrap(), content());
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[test]
fn retries_end() {
    let (error, requests) =
        failure(|_, stream| send(stream, "503 Service Unavailable", "", 0, b""));
    assert!(error.contains("the server answered 503"), "{error}");
    assert_eq!(requests, 4);
}

#[test]
fn a_refusal_is_not_repeated() {
    let (error, requests) = failure(|_, stream| send(stream, "404 Not Found", "", 0, b""));
    assert!(
        error.contains("the server answered 404 Not Found"),
        "{error}"
    );
    assert!(error.contains("url: http://127.0.0.1:"), "{error}");
    assert!(error.contains("DRIFTLINE__FETCH__MIRROR"), "{error}");
    assert_eq!(requests, 1);
}

#[test]
fn wrong_bytes_are_named_with_both_checksums() {
    let (error, requests) = failure(|_, stream| {
        send(stream, "200 OK", "ETag: \"v1\"\r\n", SIZE, &vec![0; SIZE]);
    });
    assert!(error.contains("expected sha256 136f334d647619879743ff33fde1ac6547f40e314692441f2a125e087cad47c9, found "), "{error}");
    assert_eq!(requests, 1);
}

#[test]
fn a_pointer_is_recognised() {
    let body = format!(
        "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {SIZE}\n",
        "0".repeat(64)
    );
    let (error, _) = failure(move |_, stream| {
        send(
            stream,
            "200 OK",
            "Content-Type: text/plain\r\n",
            body.len(),
            body.as_bytes(),
        );
    });
    assert!(
        error.contains("expected size in bytes 300000, found 13"),
        "{error}"
    );
    assert!(
        error.contains("a pointer of git LFS instead of the file"),
        "{error}"
    );
}

#[test]
fn a_page_is_recognised() {
    let (error, _) = failure(|_, stream| {
        let page = b"<!DOCTYPE html><html>Sign in</html>";
        send(stream, "200 OK", "", page.len(), page);
    });
    assert!(
        error.contains("an HTML page instead of the file"),
        "{error}"
    );
}

#[test]
fn another_size_is_refused_before_and_after_the_download() {
    let (error, _) = failure(|_, stream| send(stream, "200 OK", "", SIZE + 1, &content()));
    assert!(
        error.contains("expected size in bytes 300000, found 300001"),
        "{error}"
    );
    // Without an announced length a body that is too long is cut off, one that is too short is measured.
    for (length, found) in [(SIZE + 200_000, None), (SIZE - 5, Some("found 299995"))] {
        let (error, requests) = failure(move |_, stream| {
            let head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n";
            let _ = stream
                .write_all(head)
                .and_then(|()| stream.write_all(&vec![1; length]));
        });
        assert!(error.contains("expected size in bytes 300000"), "{error}");
        assert!(found.is_none_or(|found| error.contains(found)), "{error}");
        assert_eq!(requests, 1);
    }
}

#[test]
fn nobody_listening_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = fetch(&cache(folder.path(), &mirror)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error.to_string().contains("the server does not answer"),
        "{error}"
    );
}

#[test]
fn two_at_once_download_once() {
    let folder = tempfile::tempdir().unwrap();
    let (mirror, seen) = serve(|_, stream| send(stream, "200 OK", "", SIZE, &content()));
    thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| fetch(&cache(folder.path(), &mirror)).unwrap()))
            .collect();
        for worker in workers {
            assert_eq!(worker.join().unwrap(), content());
        }
    });
    assert_eq!(seen.lock().unwrap().len(), 1);
}
