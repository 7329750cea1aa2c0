//! How long each step and each test took.
//!
//! Cargo runs every test binary through `cargo xtask timed-test`, which asks libtest for the time of each test and adds it to a
//! file.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// The variable that names the file of the times.
const VARIABLE: &str = "DRIFTLINE_TEST_TIMES";
/// Tests that are named.
const SLOWEST: usize = 20;

/// The times of all steps so far.
pub(crate) struct Times {
    start: Instant,
    steps: Vec<(String, Duration)>,
    tests: PathBuf,
    /// This program, found before cargo builds it anew in the same place.
    this: PathBuf,
}

impl Times {
    /// Starts the clock; the times of tests go to a file in `target`.
    pub(crate) fn new(target: &Path) -> Result<Self> {
        let tests = target.join("test-times.txt");
        std::fs::create_dir_all(target)
            .and_then(|()| File::create(&tests).map(drop))
            .with_context(|| format!("cannot write {}", tests.display()))?;
        Ok(Self {
            start: Instant::now(),
            steps: Vec::new(),
            tests,
            this: std::env::current_exe().context("the path of xtask is not known")?,
        })
    }

    /// Does a step, and keeps how long it took.
    pub(crate) fn step<T>(&mut self, name: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("==> {name}");
        let start = Instant::now();
        let result = step()?;
        self.steps.push((name.to_owned(), start.elapsed()));
        Ok(result)
    }

    /// Has `cargo` run its tests through this program, which keeps the time of each.
    pub(crate) fn of_tests(&self, cargo: &mut Command) -> Result<()> {
        let runner = format!(
            "target.{}.runner=['{}', 'timed-test']",
            crate::cargo::host()?,
            self.this.display()
        );
        cargo.args(["--config", &runner]).env(VARIABLE, &self.tests);
        Ok(())
    }

    /// The steps, and the slowest tests, as a text.
    pub(crate) fn summary(&self) -> Result<String> {
        let mut text = String::from("Time of each step:\n");
        for (name, took) in &self.steps {
            writeln!(text, "{:>7.1} s  {name}", took.as_secs_f64())?;
        }
        writeln!(
            text,
            "{:>7.1} s  in all",
            self.start.elapsed().as_secs_f64()
        )?;
        let mut tests = Vec::new();
        for line in std::fs::read_to_string(&self.tests)?.lines() {
            let (seconds, name) = line.split_once(' ').context("a line without a time")?;
            tests.push((seconds.parse::<f64>()?, name.to_owned()));
        }
        tests.sort_by(|a, b| b.0.total_cmp(&a.0));
        writeln!(text, "The slowest of {} tests:", tests.len())?;
        for (seconds, name) in tests.iter().take(SLOWEST) {
            writeln!(text, "{seconds:>7.1} s  {name}")?;
        }
        Ok(text)
    }
}

/// A test binary and what cargo hands it.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    program: PathBuf,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs one test binary, as its exit code says.
pub(crate) fn run_test(arguments: &Arguments) -> Result<()> {
    let program = &arguments.program;
    let mut command = Command::new(program);
    command.args(&arguments.arguments);
    let help = Command::new(program).arg("--help").output();
    let is_libtest =
        help.is_ok_and(|help| String::from_utf8_lossy(&help.stdout).contains("--report-time"));
    if is_libtest {
        command
            .args(["-Z", "unstable-options", "--report-time"])
            // Times are not a stable option of libtest; this lets the stable one give them.
            .env("RUSTC_BOOTSTRAP", "1");
    }
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} could not be started", program.display()))?;
    let stdout = child.stdout.take().context("it has no standard output")?;
    let binary = program.file_stem().unwrap_or_default().to_string_lossy();
    let binary = binary.rsplit_once('-').map_or(&*binary, |(name, _)| name);
    let mut times = String::new();
    for line in BufReader::new(stdout).split(b'\n') {
        let line = line?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        if let Some((test, seconds)) = timed(&line) {
            writeln!(times, "{seconds} {binary} {test}")?;
        }
    }
    let status = child.wait()?;
    if !is_libtest {
        writeln!(times, "{} {binary}", start.elapsed().as_secs_f64())?;
    }
    if let Some(path) = std::env::var_os(VARIABLE) {
        let mut file = OpenOptions::new().append(true).create(true).open(path)?;
        file.write_all(times.as_bytes())?;
    }
    std::process::exit(status.code().unwrap_or(1));
}

/// Name and seconds of a line such as `test rows::are_read ... ok <0.012s>`.
fn timed(line: &str) -> Option<(&str, f64)> {
    let (test, rest) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let seconds = rest.rsplit_once('<')?.1.strip_suffix("s>")?;
    Some((test, seconds.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_from_what_libtest_prints() {
        assert_eq!(timed("test a::b ... ok <0.012s>"), Some(("a::b", 0.012)));
        assert_eq!(timed("test a::b ... ignored"), None);
        assert_eq!(timed("running 3 tests"), None);
    }
}
