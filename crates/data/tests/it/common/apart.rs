//! Hostile files are read in a process of their own, which the kernel stops before it takes the machine with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use driftline_data::{Album, open};

use super::OPTIONS;

/// Most memory that any file of 16 MiB or less may take.
pub(crate) const LIMIT: u64 = 1 << 30;
/// KiB of addresses that the process may have: an explosion fails to allocate instead of filling the machine.
const ADDRESSES: u64 = 3 << 20;
const FILES: &str = "DRIFTLINE_TEST_FILES";

/// How the reading of one file went.
#[derive(Debug)]
pub(crate) struct Reading {
    /// Most bytes of memory that the process had meanwhile.
    pub peak: u64,
    /// The error, or how many rows there were.
    pub outcome: String,
}

/// Reads the files one after the other, each to its end.
pub(crate) fn read_apart(files: &[PathBuf]) -> Vec<Reading> {
    let list: Vec<_> = files.iter().map(|file| file.to_str().unwrap()).collect();
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("ulimit -v {ADDRESSES} && exec \"$0\" \"$@\""),
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "hostile::reads_what_it_is_told", "--nocapture"])
        .env(FILES, list.join("\n"))
        .env("RAYON_NUM_THREADS", "8")
        // An arena for each thread takes addresses, not memory.
        .env("MALLOC_ARENA_MAX", "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let readings: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("READ\t")?.split_once('\t'))
        .map(|(peak, outcome)| Reading {
            peak: peak.parse().unwrap(),
            outcome: outcome.to_owned(),
        })
        .collect();
    assert!(
        output.status.success() && readings.len() == files.len(),
        "{}: {:?} after {}\n{}",
        output.status,
        files.get(readings.len()),
        text.lines().last().unwrap_or_default(),
        String::from_utf8_lossy(&output.stderr)
    );
    readings
}

/// The other process.
pub(crate) fn read_what_was_told() {
    let Ok(files) = std::env::var(FILES) else {
        return;
    };
    println!();
    for file in files.lines() {
        // The peak begins anew.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let outcome = outcome(Path::new(file));
        println!("READ\t{}\t{}", peak(), outcome.escape_debug());
    }
}

fn outcome(file: &Path) -> String {
    let rows = rows(file);
    if let Ok(album) = Album::open(file) {
        let name = file.file_name().unwrap().to_string_lossy();
        for url in ["0", "1", "image-0.png"].map(|row| format!("{name}#{row}")) {
            drop(album.picture(&url));
        }
    }
    match rows {
        Ok((seen, skipped, reason)) => format!("{seen} rows, {skipped} skipped: {reason}"),
        Err(error) => error.to_string(),
    }
}

fn rows(file: &Path) -> driftline_core::Result<(usize, usize, String)> {
    let mut source = open(file.to_str().unwrap(), &OPTIONS)?;
    let (mut seen, mut skipped, mut reason) = (0, 0, String::new());
    while let Some(batch) = source.next_batch(256)? {
        seen += batch.rows.len();
        skipped += batch.skipped.len();
        if let Some(bad) = batch.skipped.into_iter().next() {
            reason = bad.reason;
        }
    }
    Ok((seen, skipped, reason))
}

/// Bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() << 10
}
