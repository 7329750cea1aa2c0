//! Many connections, few open files: clients with the token get in, and jobs have files to work with.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::{Data, Process, Running, TOKEN, example, may_open, parquet};
use driftline_server::{Limits, ServeConfig};

/// A server in a process that may have so many open files.
fn with_open_files(store: &Path, options: &str, files: u32) -> Process {
    let mut command = Command::new("sh");
    let script = format!("ulimit {options} {files} && exec \"$0\" \"$1\"");
    command
        .args(["-c", &script])
        .arg(example("serve"))
        .arg(store);
    Process::of(command.env("RUST_LOG", "warn"))
}

fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.trim_start_matches("http://")).unwrap()
}

/// Whether the server still holds the other end.
fn is_open(stream: &mut TcpStream) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    match stream.read(&mut [0; 1]) {
        Ok(count) => count > 0,
        Err(error) => matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        ),
    }
}

/// Asks for something with the token and reads the whole answer; the connection stays open.
fn ask(stream: &mut TcpStream) -> String {
    write!(
        stream,
        "GET /v3/server-info HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
    )
    .unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[test]
fn idle_connections_take_no_file_from_a_job() {
    if !may_open(2_048) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = with_open_files(folder.path(), "-n", 1_024);
    let api = &server.api;
    let project = api.project("images");
    let model = api.model(&project, "m", true);
    let idle: Vec<TcpStream> = (0..1_000).map(|_| connect(&api.url)).collect();
    for seed in 1..6 {
        let rows = Data::new(50, seed);
        let job = api.publish(&model, None, parquet(&rows.typed(true)));
        api.succeeds(&job);
    }
    drop(idle);
}

#[test]
fn the_limit_of_open_files_is_raised_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_open_files(folder.path(), "-S -n", 64);
    let api = &server.api;
    let mut clients: Vec<TcpStream> = (0..200).map(|_| connect(&api.url)).collect();
    for client in &mut clients {
        let answer = ask(client);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

#[test]
fn a_client_with_the_token_finds_a_seat_among_strangers_and_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut limits = Limits::default();
    limits.connections = 8;
    let server = Running::with(ServeConfig {
        limits,
        ..ServeConfig::new(folder.path().to_owned())
    });
    let url = &server.api.url;
    let mut strangers: Vec<TcpStream> = (0..20).map(|_| connect(url)).collect();
    let mut client = connect(url);
    let answer = ask(&mut client);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    strangers.extend((0..20).map(|_| connect(url)));
    std::thread::sleep(Duration::from_millis(200));
    let answer = ask(&mut client);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let open = strangers
        .iter_mut()
        .filter_map(|s| is_open(s).then_some(()));
    assert_eq!(open.count(), 6);
    assert!(is_open(strangers.last_mut().unwrap()));
    assert!(!is_open(&mut strangers[0]));
}
