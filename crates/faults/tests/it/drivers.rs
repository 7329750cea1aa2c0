//! The programs that are traced and made to fail: this test program itself, as a child process.

use std::path::{Path, PathBuf};
use std::process::Command;

use driftline_core::Error;
use driftline_faults::record::mark;
use driftline_server::{ServeConfig, Server, Shutdown};

use crate::common::{outbox, server, store};

const DRIVER: &str = "DRIFTLINE_TEST_DRIVER";
const STORE: &str = "DRIFTLINE_TEST_STORE";
const MARKS: &str = "DRIFTLINE_TEST_MARKS";
const URL: &str = "DRIFTLINE_TEST_URL";
const SCRIPT: &str = "DRIFTLINE_TEST_SCRIPT";
const TRIES: &str = "DRIFTLINE_TEST_TRIES";

/// Exit code of a driver whose calls were refused with an error.
pub const REFUSED: i32 = 3;

/// A driver over `store`, which notes in `marks` what was acknowledged, and tries each call so often.
pub fn command(driver: &str, store: &Path, marks: &Path, tries: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--ignored", "--exact", "drivers::child", "--nocapture"])
        .env(DRIVER, driver)
        .env(STORE, store)
        .env(MARKS, marks)
        .env(TRIES, tries.to_string());
    command
}

/// The driver of an outbox for the server at `url`.
pub fn outbox_command(url: &str, store: &Path, marks: &Path, tries: u32) -> Command {
    let mut command = command("outbox", store, marks, tries);
    command.env(URL, url);
    command
}

/// The driver of a store, with a script by lot.
pub fn store_command(seed: u64, store: &Path, marks: &Path) -> Command {
    let mut command = command("store", store, marks, 1);
    command.env(SCRIPT, seed.to_string());
    command
}

#[test]
#[ignore = "the other tests run it as a child process"]
fn child() {
    let Ok(name) = std::env::var(DRIVER) else {
        return;
    };
    let path = |name| PathBuf::from(std::env::var_os(name).unwrap());
    let (folder, marks) = (path(STORE), path(MARKS));
    let tries: u32 = std::env::var(TRIES).unwrap().parse().unwrap();
    let driver = Driver { marks, tries };
    let done = match name.as_str() {
        "store" => driver.store(&folder),
        "outbox" => driver.outbox(&folder, &std::env::var(URL).unwrap()),
        _ => driver.server(&folder),
    };
    if done.is_none() {
        std::process::exit(REFUSED);
    }
}

struct Driver {
    marks: PathBuf,
    tries: u32,
}

impl Driver {
    fn mark(&self, text: &str) {
        mark(&self.marks, text).unwrap();
    }

    /// Tries a call; `None` once it was refused so often as is allowed.
    fn call<T>(&self, what: &str, mut call: impl FnMut() -> Result<T, Error>) -> Option<T> {
        for _ in 0..self.tries {
            match call() {
                Ok(value) => return Some(value),
                Err(error) => println!("refused: {what}: {error}"),
            }
        }
        None
    }

    fn steps(&self, count: usize, mut step: impl FnMut(usize) -> Result<(), Error>) -> Option<()> {
        for number in 0..count {
            self.mark(&format!("begin {number}"));
            self.call(&format!("step {number}"), || step(number))?;
            self.mark(&format!("ack {number}"));
        }
        Some(())
    }

    fn store(&self, folder: &Path) -> Option<()> {
        let mut sink = self.call("prepare", || store::sink(folder))?;
        let seed = std::env::var(SCRIPT).map_or(0, |seed| seed.parse().unwrap());
        let script = store::script_by_lot(seed);
        self.steps(script.len(), |n| script[n].run(folder, &mut sink))
    }

    fn outbox(&self, folder: &Path, url: &str) -> Option<()> {
        let mut sink = self.call("prepare", || outbox::sink(folder, url))?;
        let script = outbox::script();
        self.steps(script.len(), |n| script[n].run(&mut sink))
    }

    /// Serves until its standard input ends.
    fn server(&self, folder: &Path) -> Option<()> {
        let bound = self.call("bind", || {
            Server::bind(ServeConfig {
                token: Some(server::TOKEN.to_owned()),
                ..ServeConfig::new(folder.to_owned())
            })
        })?;
        println!("\n{}{}", server::ADDRESS, bound.local_addr());
        let shutdown = Shutdown::default();
        let stop = shutdown.clone();
        std::thread::spawn(move || {
            let _ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            stop.now();
        });
        self.call("run", {
            let mut bound = Some(bound);
            move || bound.take().map_or(Ok(()), |server| server.run(&shutdown))
        })
    }
}
