//! A server in a process of its own, for tests that kill it: `serve <store>`. It prints its address.

use std::path::PathBuf;

use driftline_server::{ServeConfig, Server, Shutdown};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = std::env::args_os().nth(1).ok_or("usage: serve <store>")?;
    let _log = driftline_server::json_logs();
    driftline_server::raise_open_files();
    let server = Server::bind(ServeConfig {
        token: Some("secret".to_owned()),
        ..ServeConfig::new(PathBuf::from(store))
    })?;
    println!("{}", server.local_addr());
    server.run(&Shutdown::default())?;
    Ok(())
}
