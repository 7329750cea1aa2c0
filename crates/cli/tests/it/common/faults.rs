//! A proxy that lets a seeded choice of requests go wrong.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What goes wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The connection ends before the request has been read.
    Dropped,
    /// The answering half ends at once; the request is read and thrown away.
    HalfClosed,
    /// The request ends in the middle of its body; the server sees a truncated one.
    Truncated,
    /// The server has done it, and its answer is lost.
    AnswerLost,
    /// Half of the server's answer arrives.
    AnswerHalved,
    /// The server gets the request twice.
    Delivered2,
    /// The request and its answer come late.
    Delayed,
    /// "429 Too Many Requests", with and without `Retry-After`.
    Status429,
    /// "500 Internal Server Error".
    Status500,
    /// "503 Service Unavailable", as a page of HTML.
    Status503,
}

const ALL: [Fault; 10] = [
    Fault::Dropped,
    Fault::HalfClosed,
    Fault::Truncated,
    Fault::AnswerLost,
    Fault::AnswerHalved,
    Fault::Delivered2,
    Fault::Delayed,
    Fault::Status429,
    Fault::Status500,
    Fault::Status503,
];

struct State {
    rng: ChaCha8Rng,
    left: u64,
    injected: BTreeMap<Fault, u64>,
}

/// A proxy in front of a server. It stops injecting after `faults` faults, and ends with the test.
#[derive(Clone)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    pub fn start(server: SocketAddr, seed: u64, faults: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            state: Arc::new(Mutex::new(State {
                rng: ChaCha8Rng::seed_from_u64(seed),
                left: faults,
                injected: BTreeMap::new(),
            })),
        };
        let handler = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let handler = handler.clone();
                // A request whose connection breaks on its own is one fault more, and no fault of the test.
                thread::spawn(move || handler.handle(&client, server).ok());
            }
        });
        proxy
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Faults so far, by sort.
    pub fn injected(&self) -> BTreeMap<Fault, u64> {
        self.state.lock().unwrap().injected.clone()
    }

    pub fn total(&self) -> u64 {
        self.injected().values().sum()
    }

    /// One request of two goes wrong.
    fn draw(&self) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let fault = ALL[state.rng.random_range(0..ALL.len())];
        if state.left == 0 || state.rng.random_range(0..2) == 0 {
            return None;
        }
        state.left -= 1;
        *state.injected.entry(fault).or_default() += 1;
        Some(fault)
    }

    fn handle(&self, client: &TcpStream, server: SocketAddr) -> io::Result<()> {
        client.set_read_timeout(Some(LONGEST_WAIT))?;
        let mut reader = BufReader::new(client);
        let (head, length) = read_head(&mut reader)?;
        if head.is_empty() {
            return Ok(());
        }
        let fault = self.draw();
        match fault {
            Some(Fault::Dropped) => return client.shutdown(Shutdown::Both),
            Some(Fault::HalfClosed) => client.shutdown(Shutdown::Write)?,
            Some(Fault::Delayed) => thread::sleep(Duration::from_millis(200)),
            _ => {}
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        match fault {
            Some(Fault::HalfClosed) => return Ok(()),
            Some(Fault::Status429) => {
                let wait = if length.is_multiple_of(2) {
                    "Retry-After: 1\r\n"
                } else {
                    ""
                };
                return answer(client, "429 Too Many Requests", wait, "slow down");
            }
            Some(Fault::Status500) => {
                return answer(client, "500 Internal Server Error", "", "{\"oops\":");
            }
            Some(Fault::Status503) => {
                let page = "<html><body>maintenance</body></html>";
                return answer(client, "503 Service Unavailable", "", page);
            }
            Some(Fault::Truncated) => {
                let mut server = TcpStream::connect(server)?;
                server.write_all(&head)?;
                server.write_all(&body[..length / 2])?;
                return client.shutdown(Shutdown::Both);
            }
            Some(Fault::Delivered2) => {
                forward(server, &head, &body)?;
            }
            _ => {}
        }
        let reply = forward(server, &head, &body)?;
        let mut client = client;
        match fault {
            Some(Fault::AnswerLost) => Ok(()),
            Some(Fault::AnswerHalved) => client.write_all(&reply[..reply.len() / 2]),
            _ => client.write_all(&reply),
        }
    }
}

/// The head of a request, asking for the connection to end with it, and the length of the body.
fn read_head(reader: &mut impl BufRead) -> io::Result<(Vec<u8>, usize)> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok((Vec::new(), 0));
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().map_err(io::Error::other)?;
        }
        if line == "\r\n" {
            head.extend_from_slice(b"connection: close\r\n\r\n");
            return Ok((head, length));
        }
        if !lower.starts_with("connection:") {
            head.extend_from_slice(line.as_bytes());
        }
    }
}

fn forward(server: SocketAddr, head: &[u8], body: &[u8]) -> io::Result<Vec<u8>> {
    let mut server = TcpStream::connect(server)?;
    server.set_read_timeout(Some(LONGEST_WAIT))?;
    server.write_all(head)?;
    server.write_all(body)?;
    let mut reply = Vec::new();
    server.read_to_end(&mut reply)?;
    Ok(reply)
}

fn answer(mut client: &TcpStream, status: &str, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    client.write_all(text.as_bytes())
}
