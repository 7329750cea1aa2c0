//! `cargo xtask soak`: a server under load that is killed now and then.
//!
//! Three clients (`soak/client.py`) publish CSV rows over HTTP; the server gets `kill -9` at moments drawn by lot, and starts
//! again. At the end every row that was acknowledged must be in the store, once.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::{cargo, python};

/// How long, and how much.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The most minutes that the clients publish
    #[arg(long, default_value = "60")]
    minutes: f64,
    /// The most rows of all clients together
    #[arg(long, default_value = "10000000")]
    rows: u64,
    /// Seconds between two kills, on average; 0 kills nobody
    #[arg(long, default_value = "45")]
    kill_every: f64,
    /// Seconds between two lines of the table
    #[arg(long, default_value = "60")]
    line_every: f64,
    /// Folder of the store [default: one in the target folder, which is made anew]
    #[arg(long)]
    store: Option<PathBuf>,
}

const CLIENTS: usize = 3;
const TOKEN: &str = "soak";
const START: Duration = Duration::from_secs(60);

/// A line that a client prints.
#[derive(Deserialize)]
struct Line {
    rows: u64,
    seconds: Vec<f64>,
}

/// What the clients said so far.
#[derive(Default)]
struct Said {
    rows: [u64; CLIENTS],
    /// Of the requests since the last line of the table.
    seconds: Vec<f64>,
}

/// The server, which is killed and started again.
struct Server<'a> {
    program: &'a Path,
    store: &'a Path,
    address: SocketAddr,
    child: Child,
}

impl<'a> Server<'a> {
    fn start(program: &'a Path, store: &'a Path) -> Result<Self> {
        // Its address stays, so that the clients find it again.
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        let mut server = Self {
            program,
            store,
            address,
            child: spawn(program, store, address)?,
        };
        server.wait()?;
        Ok(server)
    }

    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the server ended with {status}");
            }
            ensure!(begun.elapsed() < START, "the server does not answer");
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Kills it, and returns how long it was away.
    fn kill(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(self.program, self.store, self.address)?;
        self.wait()?;
        Ok(begun.elapsed())
    }
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        // It may have ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, store: &Path, address: SocketAddr) -> Result<Child> {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(store.with_extension("log"))?;
    let child = Command::new(program)
        .args(["serve", "--listen", &address.to_string(), "--store"])
        .arg(store)
        .env("DRIFTLINE__SERVE__TOKEN", TOKEN)
        .env("RUST_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()?;
    Ok(child)
}

/// A client, and the thread that listens to it.
struct Client {
    child: Child,
    listener: thread::JoinHandle<()>,
}

impl Client {
    fn start(mut command: Command, number: usize, said: &Arc<Mutex<Said>>) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = child.stdout.take().context("a client has no output")?;
        let said = said.clone();
        let listener = thread::spawn(move || {
            let lines = BufReader::new(output).lines().map_while(Result::ok);
            for line in lines {
                if let Ok(line) = serde_json::from_str::<Line>(&line) {
                    let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                    said.rows[number] = line.rows;
                    said.seconds.extend(line.seconds);
                }
            }
        });
        Ok(Self { child, listener })
    }

    /// Has it end after the rows in hand.
    fn stop(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait()?;
        let _ended = self.listener.join();
        ensure!(status.success(), "a client ended with {status}");
        Ok(())
    }
}

/// Numbers by lot; the same in every soak.
struct Lot(u64);

impl Lot {
    /// From 0 to 1.
    fn draw(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// The pause before the next kill.
    fn pause(&mut self, average: f64) -> Duration {
        Duration::from_secs_f64(average * (0.2 + 1.6 * self.draw()))
    }
}

/// Starts everything, kills, and checks.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let workspace = &cargo::workspace()?;
    let program = cargo::driftline(workspace)?;
    let interpreter = python::readers(workspace)?;
    let store = match &arguments.store {
        Some(store) => store.clone(),
        None => cargo::target_folder(workspace).join("soak/store"),
    };
    if arguments.store.is_none() && store.exists() {
        fs::remove_dir_all(&store)?;
    }
    fs::create_dir_all(&store)?;
    let mut server = Server::start(&program, &store)?;
    let scripts = workspace.join("crates/xtask/soak");
    let url = format!("http://{}", server.address);
    let client = || {
        let mut command = Command::new(&interpreter);
        command.arg(scripts.join("client.py")).args([&url, TOKEN]);
        command
    };
    let model = String::from_utf8(cargo::output(client().arg("setup"))?)?;
    let said = Arc::new(Mutex::new(Said::default()));
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let mut command = client();
        let rows = arguments.rows / CLIENTS as u64;
        command.args(["rows", model.trim(), &name(number), &rows.to_string()]);
        clients.push(Client::start(command, number, &said)?);
    }

    let begun = Instant::now();
    let end = begun + Duration::from_secs_f64(60.0 * arguments.minutes);
    let (mut lot, mut kills, mut away) = (Lot(0x9e37_79b9_7f4a_7c15), 0, Duration::ZERO);
    let mut next_line = begun + Duration::from_secs_f64(arguments.line_every);
    let mut next_kill = begun + lot.pause(arguments.kill_every);
    println!(
        "{:>7} {:>10} {:>6} {:>6} {:>5} {:>8} {:>8} {:>8} {:>8}",
        "minutes", "rows", "kills", "files", "open", "db MiB", "RSS MiB", "p50 ms", "p99 ms"
    );
    loop {
        let now = Instant::now();
        let running = clients
            .iter_mut()
            .map(|client| client.child.try_wait())
            .collect::<std::io::Result<Vec<_>>>()?;
        let all_done = running.iter().all(Option::is_some);
        if now >= next_line || all_done || now >= end {
            line(begun, kills, &server, &said)?;
            next_line += Duration::from_secs_f64(arguments.line_every);
        }
        if all_done || now >= end {
            break;
        }
        if arguments.kill_every > 0.0 && now >= next_kill {
            away += server.kill()?;
            kills += 1;
            next_kill = Instant::now() + lot.pause(arguments.kill_every);
        }
        thread::sleep(Duration::from_millis(100));
    }
    for client in clients {
        client.stop()?;
    }
    println!(
        "{kills} kills, the server was away for {:.1} s",
        away.as_secs_f64()
    );
    drop(server);
    let rows = said.lock().unwrap_or_else(PoisonError::into_inner).rows;
    let mut count = Command::new(&interpreter);
    count
        .arg(scripts.join("count.py"))
        .arg(store.join("soak/m"));
    for (number, rows) in rows.iter().enumerate() {
        count.arg(format!("{}={rows}", name(number)));
    }
    cargo::run(&mut count)
}

fn name(client: usize) -> String {
    format!("client{client}")
}

/// Prints a line of the table.
fn line(begun: Instant, kills: u32, server: &Server<'_>, said: &Mutex<Said>) -> Result<()> {
    let (rows, mut seconds) = {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        (
            said.rows.iter().sum::<u64>(),
            std::mem::take(&mut said.seconds),
        )
    };
    seconds.sort_by(f64::total_cmp);
    let quantile = |q: f64| {
        let at = (q * seconds.len() as f64) as usize;
        seconds
            .get(at.min(seconds.len().saturating_sub(1)))
            .map_or(f64::NAN, |s| 1e3 * s)
    };
    let process = PathBuf::from(format!("/proc/{}", server.child.id()));
    let open = fs::read_dir(process.join("fd"))?.count();
    let database: u64 = ["server.db", "server.db-wal"]
        .iter()
        .filter_map(|name| fs::metadata(server.store.join(".driftline").join(name)).ok())
        .map(|about| about.len())
        .sum();
    println!(
        "{:>7.1} {rows:>10} {kills:>6} {:>6} {open:>5} {:>8.1} {:>8.0} {:>8.0} {:>8.0}",
        begun.elapsed().as_secs_f64() / 60.0,
        files(server.store)?,
        mebibytes(database),
        resident(&process)?,
        quantile(0.5),
        quantile(0.99),
    );
    Ok(())
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Resident memory in MiB.
fn resident(process: &Path) -> Result<f64> {
    let status = fs::read_to_string(process.join("status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line
        .and_then(|line| line.split_whitespace().next())
        .context("the system does not tell the memory")?
        .parse()?;
    Ok(kib / 1024.0)
}

/// Files below a folder, which changes at the same time.
fn files(folder: &Path) -> Result<u64> {
    let mut count = 0;
    for entry in fs::read_dir(folder)?.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => count += files(&entry.path()).unwrap_or(0),
            Ok(_) => count += 1,
            Err(_) => {}
        }
    }
    Ok(count)
}
