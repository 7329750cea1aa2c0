//! How much is tested, what is known to fail, and the programs that are traced.

pub mod outbox;
pub mod run;
pub mod server;
pub mod store;

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use driftline_faults::inject::{self, Fault};
use driftline_faults::record::Operation;
use driftline_faults::replay::{History, State, write_tree};
use tempfile::TempDir;

/// How much is tested.
pub struct Extent {
    /// What is done to the store: a fixed script, and others by lot.
    pub store_scripts: u64,
    /// States after a power cut, of each script.
    pub store_states: usize,
    pub outbox_states: usize,
    pub server_states: usize,
    pub run_states: usize,
    /// Of the calls that can fail, one in so many fails.
    pub store_stride: u64,
    pub outbox_stride: u64,
    pub server_stride: u64,
    pub run_stride: u64,
    /// Flipped bits, in each kind of file.
    pub flips: u64,
    /// Flipped bits in files that only a whole run of the command reads.
    pub run_flips: u64,
}

/// Whether the long tests take all their seeds, as `cargo xtask test --full` has it.
pub fn is_full() -> bool {
    std::env::var_os("DRIFTLINE_TEST_FULL").is_some()
}

impl Extent {
    pub fn chosen() -> Self {
        if is_full() {
            return Self {
                store_scripts: 12,
                store_states: 700,
                outbox_states: 3_000,
                server_states: 500,
                run_states: 60,
                store_stride: 1,
                outbox_stride: 1,
                server_stride: 7,
                run_stride: 11,
                flips: 110,
                run_flips: 20,
            };
        }
        Self {
            store_scripts: 2,
            store_states: 200,
            outbox_states: 80,
            server_states: 24,
            run_states: 3,
            store_stride: 23,
            outbox_stride: 67,
            server_stride: 151,
            run_stride: 89,
            flips: 10,
            run_flips: 2,
        }
    }
}

/// A failure that is known; it does not fail the test, and is counted.
pub struct Known {
    /// What is wrong, in plain words.
    pub what: &'static str,
    /// Whether a failure is this one.
    pub is: fn(&Failure) -> bool,
}

/// What went wrong in one case.
pub struct Failure {
    /// Which store, outbox, server or run, and what was done to it.
    pub case: String,
    /// What was found.
    pub text: String,
}

/// Cases that were tried, and how they ended.
#[derive(Default)]
pub struct Tally {
    name: String,
    cases: usize,
    different: usize,
    known: BTreeMap<&'static str, usize>,
    failures: Vec<Failure>,
}

impl Tally {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            ..Self::default()
        }
    }

    /// Counts a case whose outcome was seen before.
    pub fn repeated(&mut self) {
        self.cases += 1;
    }

    pub fn add(&mut self, known: &[Known], outcome: Result<(), Failure>) {
        self.cases += 1;
        self.different += 1;
        let Err(failure) = outcome else {
            return;
        };
        match known.iter().find(|known| (known.is)(&failure)) {
            Some(known) => *self.known.entry(known.what).or_default() += 1,
            None => self.failures.push(failure),
        }
    }

    /// Prints the numbers; fails if something failed that is not known.
    pub fn finish(self) {
        println!(
            "{}: {} cases, {} of them different, {} failures",
            self.name,
            self.cases,
            self.different,
            self.failures.len()
        );
        for (what, times) in &self.known {
            println!("{}: known, {times} times: {what}", self.name);
        }
        let mut text = String::new();
        for failure in self.failures.iter().take(30) {
            let _ = writeln!(text, "{}\n    {}", failure.case, failure.text);
        }
        assert!(
            self.failures.is_empty(),
            "{}: {} of {} cases failed:\n{text}",
            self.name,
            self.failures.len(),
            self.cases
        );
        assert!(self.cases > 0, "{}: nothing was tried", self.name);
    }
}

/// A folder in memory where there is one, because every state is a folder of its own.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}

/// The interposing library.
pub fn library() -> PathBuf {
    inject::library()
        .expect("libinterpose.so is built by `cargo build -p driftline-faults --examples`")
}

/// Runs a piece of code of the tested crates; a panic is an error.
pub fn without_panic<T>(body: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|cause| Err(panic_text(&*cause)))
}

fn panic_text(cause: &(dyn Any + Send)) -> String {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("?"))
}

/// How a traced program ended.
#[derive(Debug)]
pub struct Ended {
    /// What it printed.
    pub text: String,
    pub code: Option<i32>,
    /// Whether the fault happened.
    pub hit: Option<String>,
}

impl Ended {
    /// Runs `command`, over `store`, to its end.
    pub fn run(mut command: Command, store: &Path, log: &Path, fault: Option<Fault>) -> Self {
        std::fs::create_dir_all(store).unwrap();
        inject::interpose(&mut command, &library(), store, log, fault).unwrap();
        let output = command.stdin(Stdio::null()).output().unwrap();
        Self::of(&output, log)
    }

    pub fn of(output: &Output, log: &Path) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            text: text(&output.stdout) + &text(&output.stderr),
            code: output.status.code(),
            hit: hit(log),
        }
    }

    /// That it ended by itself and said what was wrong, if something was.
    pub fn is_orderly(&self, good: &[i32]) -> Result<(), String> {
        let Some(code) = self.code else {
            return Err(format!("it was ended by a signal: {}", self.text));
        };
        if self.text.contains("panicked") {
            return Err(format!("it panicked: {}", self.text));
        }
        if !good.contains(&code) {
            return Err(format!("exit code {code}: {}", self.text));
        }
        Ok(())
    }
}

/// The fault that a log tells of.
pub fn hit(log: &Path) -> Option<String> {
    let operations = driftline_faults::record::read(log).unwrap_or_default();
    operations
        .into_iter()
        .find_map(|operation| match operation {
            Operation::Fault(text) => Some(text),
            _ => None,
        })
}

/// Tries `check` on states of a history, each in a folder of its own; states with equal files are tried once.
pub fn replay(
    tally: &mut Tally,
    history: &History,
    states: impl IntoIterator<Item = State>,
    mut check: impl FnMut(&Path, &Progress) -> Result<(), String>,
) {
    let mut seen = HashSet::new();
    for state in states {
        let tree = history.tree(state);
        if !seen.insert(history.fingerprint(state, &tree)) {
            tally.repeated();
            continue;
        }
        let folder = folder();
        write_tree(&tree, folder.path()).unwrap();
        let progress = Progress::of(history.marks(state));
        let outcome = without_panic(|| check(folder.path(), &progress));
        tally.add(
            &[],
            outcome.map_err(|text| Failure {
                case: format!("{state:?}, {progress:?}"),
                text,
            }),
        );
    }
}

/// What the marks of a trace say.
#[derive(Debug, Default, Clone)]
pub struct Progress {
    /// Steps that were acknowledged.
    pub acknowledged: usize,
    /// Whether the next one was begun.
    pub begun: bool,
    /// Other notes.
    pub notes: BTreeSet<String>,
}

impl Progress {
    pub fn of<'a>(marks: impl Iterator<Item = &'a str>) -> Self {
        let mut progress = Self::default();
        for mark in marks {
            match mark.split_once(' ') {
                Some(("begin", _)) => progress.begun = true,
                Some(("ack", step)) => {
                    progress.acknowledged = step.parse::<usize>().unwrap() + 1;
                    progress.begun = false;
                }
                _ => {
                    progress.notes.insert(mark.to_owned());
                }
            }
        }
        progress
    }

    /// What a log says.
    pub fn read(log: &Path) -> Self {
        let operations = driftline_faults::record::read(log).unwrap_or_default();
        let marks = operations.iter().filter_map(|operation| match operation {
            Operation::Mark(text) => Some(text.as_str()),
            _ => None,
        });
        Self::of(marks)
    }
}
