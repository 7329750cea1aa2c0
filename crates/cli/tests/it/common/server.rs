//! A real `driftline serve`.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::thread;

use serde_json::Value;

use super::Workspace;

pub const TOKEN: &str = "test-token-of-the-server";

/// A server process; it is killed with the value.
pub struct Served {
    child: Child,
    address: SocketAddr,
}

impl Served {
    /// Starts a server of the folder `store` in `workspace` on a free port.
    pub fn start(workspace: &Workspace, store: &str) -> Self {
        Self::start_at(workspace, store, "127.0.0.1:0").unwrap()
    }

    /// Starts a server on `listen`; `None` if it ended before it listened.
    pub fn start_at(workspace: &Workspace, store: &str, listen: &str) -> Option<Self> {
        let mut child = workspace
            .command([
                "serve", "--json", "--quiet", "--store", store, "--listen", listen,
            ])
            .env("DRIFTLINE__SERVE__TOKEN", TOKEN)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut document = String::new();
        while !document.ends_with("}\n") {
            if reader.read_line(&mut document).unwrap() == 0 {
                let _ = child.wait();
                return None;
            }
        }
        // Nobody else reads what it may print later.
        thread::spawn(move || std::io::copy(&mut reader, &mut std::io::sink()).ok());
        let listening: Value = serde_json::from_str(&document).unwrap();
        let address = listening["address"].as_str().unwrap();
        Some(Self {
            child,
            address: address.strip_prefix("http://").unwrap().parse().unwrap(),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}
