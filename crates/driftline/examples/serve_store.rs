//! Serves a store inside a program: `serve_store [STORE]`. Without a store it serves an empty one, asks it whether it
//! lives, and stops.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;

use driftline::server::{ServeConfig, Server, Shutdown};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let store = given.clone().unwrap_or_else(|| folder.path().to_owned());

    // On a free port of this machine. Without a token it makes one, which clients must send.
    let server = Server::bind(ServeConfig::new(store))?;
    let address = server.local_addr();
    println!("page: http://{address}/");
    if let Some(token) = server.new_token() {
        println!("token: {} characters", token.len());
    }

    let shutdown = Shutdown::default();
    let stop = shutdown.clone();
    let server = std::thread::spawn(move || server.run(&shutdown));
    if given.is_none() {
        let mut stream = TcpStream::connect(address)?;
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        println!("{}", answer.lines().next().unwrap_or_default());
        stop.now();
    }
    server.join().map_err(|_| "the server panicked")??;
    Ok(())
}
