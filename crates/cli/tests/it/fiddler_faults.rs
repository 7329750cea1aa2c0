//! Faults between sink and server, from one seed, a thousand of them in the full test: at the end every row is there exactly once.
//!
//! Real processes: `driftline run --sink fiddler` through a faulty proxy to `driftline serve`, both killed with -9 at
//! seeded moments, and their disks filled to the last byte.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::common;
use crate::common::faults::Proxy;
use crate::common::server::{Served, TOKEN};
use crate::common::{NOW, StoredRow, Workspace, stderr};
use driftline::data::Split;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const SEED: u64 = 20_261_125;
/// How much is done to how many.
struct Extent {
    sinks: u64,
    /// Faults on the wire; kills and full disks come on top of them.
    faults: u64,
    /// Kills of each sink.
    sink_kills: u64,
    server_kills: u64,
    full_disks: u64,
}

impl Extent {
    fn chosen() -> Self {
        if common::is_full() {
            return Self {
                sinks: 6,
                faults: 1_000,
                sink_kills: 4,
                server_kills: 20,
                full_disks: 8,
            };
        }
        Self {
            sinks: 2,
            faults: 150,
            sink_kills: 2,
            server_kills: 4,
            full_disks: 2,
        }
    }
}

const MODEL: &str = "sample-resnet18";
/// A test that hangs must say so.
const DEADLINE: Duration = Duration::from_secs(900);

/// A file system of its own that can be filled up; a plain folder where this user may not mount one.
struct Disk {
    folder: tempfile::TempDir,
    mounted: bool,
}

impl Disk {
    fn new(megabytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"])
            .arg(folder.path())
            .output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: full disks, because this user may not mount a tmpfs");
        }
        Self { folder, mounted }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all space for a while.
    fn fill(&self, time: Duration) -> bool {
        if !self.mounted {
            return false;
        }
        let path = self.path().join("ballast");
        let mut ballast = File::create(&path).unwrap();
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0; size];
            while ballast.write_all(&block).is_ok() {}
        }
        thread::sleep(time);
        std::fs::remove_file(path).unwrap();
        true
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = Command::new("umount").arg(self.path()).status();
        }
    }
}

/// The settings of sink `i`: its own project, so that all of them are one server's load.
fn settings(workspace: &Workspace, i: u64) -> PathBuf {
    let text = format!(
        r#"
[run]
now = "{NOW}"
seed = {i}

[monitor]
project = "project-{i}"

[baseline]
source = "{images}/train"

[[windows]]
name = "first"
source = "{images}/test"
days = 6
per_day = 60

[[windows]]
name = "second"
source = "{images}/test"
transform = "blur(sigma=0.1..2)"
days = 6
per_day = 60
"#,
        images = workspace.path("images").display()
    );
    let path = workspace.path(&format!("sink-{i}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

fn rows(workspace: &Workspace, store: &str, i: u64) -> BTreeMap<String, StoredRow> {
    let rows = workspace.rows_of(store, &format!("project-{i}"), MODEL);
    let same = |(id, mut row): (String, StoredRow)| {
        // Fiddler has no windows, no times in a baseline, and ids of an environment are its own.
        row.window.clear();
        if id.contains("-baseline-") {
            row.timestamp_ms = 0;
        }
        let id = id.strip_prefix("baseline-").unwrap_or(&id);
        (id.to_owned(), row)
    };
    rows.into_iter().map(same).collect()
}

#[test]
fn after_many_faults_every_row_is_there_exactly_once() {
    let extent = &Extent::chosen();
    let workspace = Workspace::new();
    workspace.images("images/train", Split::Train, 300);
    workspace.images("images/test", Split::Test, 200);
    for i in 0..extent.sinks {
        let config = settings(&workspace, i);
        let config = config.to_str().unwrap();
        let output = workspace.run(["run", "-c", config, "--store", "undisturbed"]);
        assert!(output.status.success(), "{}", stderr(&output));
    }

    let server_disk = Disk::new(64);
    let store = server_disk.path().join("store");
    let store_name = store.to_str().unwrap();
    let mut server = Served::start(&workspace, store_name);
    let address = server.address();
    let proxy = Proxy::start(address, SEED, extent.faults);
    let url = format!("http://{}", proxy.address());
    let done = AtomicBool::new(false);
    let (sink_kills, server_kills, full) =
        (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    let start = Instant::now();

    thread::scope(|scope| {
        let disturb_server = scope.spawn(|| {
            let mut rng = ChaCha8Rng::seed_from_u64(SEED + 1);
            while !done.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(rng.random_range(300..1_500)));
                if server_kills.load(Ordering::Relaxed) < extent.server_kills {
                    server.kill();
                    let listen = address.to_string();
                    // On a full disk it cannot start: the next try may.
                    while Served::start_at(&workspace, store_name, &listen)
                        .map(|started| server = started)
                        .is_none()
                    {
                        assert!(
                            start.elapsed() < DEADLINE,
                            "the server does not start again"
                        );
                        thread::sleep(Duration::from_millis(100));
                    }
                    server_kills.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        scope.spawn(|| {
            let mut rng = ChaCha8Rng::seed_from_u64(SEED + 2);
            while !done.load(Ordering::Relaxed) && full.load(Ordering::Relaxed) < extent.full_disks
            {
                thread::sleep(Duration::from_millis(rng.random_range(1_000..3_000)));
                if !server_disk.fill(Duration::from_millis(300)) {
                    return;
                }
                full.fetch_add(1, Ordering::Relaxed);
            }
        });
        let sinks: Vec<_> = (0..extent.sinks)
            .map(|i| {
                let (workspace, url, sink_kills, full) = (&workspace, &url, &sink_kills, &full);
                scope.spawn(move || {
                    let disk = Disk::new(16);
                    let mut rng = ChaCha8Rng::seed_from_u64(SEED + 3 + i);
                    let config = settings(workspace, i);
                    let spool = disk.path().join("spool");
                    let command = || {
                        let mut command =
                            workspace.command(["run", "--sink", "fiddler", "--quiet"]);
                        command
                            .arg("-c")
                            .arg(&config)
                            .arg("--store")
                            .arg(&spool)
                            .args(["--set", "sink.options.batch_rows=10"])
                            .args(["--set", &format!("sink.options.url={url}")])
                            .env("FIDDLER_TOKEN", TOKEN)
                            .stdout(Stdio::null())
                            .stderr(Stdio::piped());
                        command.spawn().unwrap()
                    };
                    for _ in 0..extent.sink_kills {
                        let mut child = command();
                        thread::sleep(Duration::from_millis(rng.random_range(200..4_000)));
                        let _ = child.kill();
                        let _ = child.wait();
                        sink_kills.fetch_add(1, Ordering::Relaxed);
                    }
                    // The disk of a running sink is full for a while: it stops and says so, or waits.
                    let child = command();
                    thread::sleep(Duration::from_millis(rng.random_range(200..2_000)));
                    if disk.fill(Duration::from_millis(500)) {
                        full.fetch_add(1, Ordering::Relaxed);
                    }
                    let output = child.wait_with_output().unwrap();
                    println!("sink {i}, its disk full: {}", stderr(&output));
                    loop {
                        let output = command().wait_with_output().unwrap();
                        if output.status.success() {
                            return;
                        }
                        let message = stderr(&output);
                        println!("sink {i}: {message}");
                        assert!(!message.contains("did not take"), "{message}");
                        assert!(!message.contains("panicked"), "{message}");
                        assert!(!message.contains(TOKEN), "the token is printed");
                        assert!(
                            start.elapsed() < DEADLINE,
                            "sink {i} is not done: {message}"
                        );
                    }
                })
            })
            .collect();
        let results: Vec<_> = sinks.into_iter().map(|sink| sink.join()).collect();
        done.store(true, Ordering::Relaxed);
        disturb_server.join().unwrap();
        for result in results {
            result.unwrap();
        }
    });
    server.kill();

    for i in 0..extent.sinks {
        let undisturbed = rows(&workspace, "undisturbed", i);
        let delivered = rows(&workspace, store_name, i);
        assert_eq!(undisturbed.len(), 300 + 2 * 6 * 60);
        let missing: Vec<_> = undisturbed
            .keys()
            .filter(|id| !delivered.contains_key(*id))
            .collect();
        assert_eq!(
            missing.len(),
            0,
            "sink {i}: {} rows are missing, as {:?}",
            missing.len(),
            missing[0]
        );
        assert_eq!(
            delivered.len(),
            undisturbed.len(),
            "sink {i}: rows nobody sent"
        );
        for (id, row) in &undisturbed {
            assert_eq!(delivered[id], *row, "sink {i}: {id} has changed on the way");
        }
    }
    let [sink_kills, server_kills, full] =
        [sink_kills, server_kills, full].map(AtomicU64::into_inner);
    println!(
        "{} faults on the wire: {:?}; {sink_kills} kills of a sink, {server_kills} of the server, {full} full disks",
        proxy.total(),
        proxy.injected()
    );
    assert_eq!(
        proxy.total(),
        extent.faults,
        "the sinks had too little to send"
    );
    assert!(sink_kills > 0 && server_kills > 0);
    assert!(full > 0 || !server_disk.mounted);
}
