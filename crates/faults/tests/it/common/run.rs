//! The command `driftline`, and runs of it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use driftline_sink_local::Store;

use super::Ended;

const NOW: &str = "2026-11-24T00:00:00Z";
const PROJECT: &str = "image_monitoring";
pub const MODEL: &str = "sample-resnet18";

/// The command, as cargo builds it beside the tests of a workspace.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("driftline");
    assert!(
        program.is_file(),
        "{} is built by `cargo build -p driftline-cli`",
        program.display()
    );
    program
}

/// A folder with images, from which runs are made.
pub struct Workspace {
    pub folder: tempfile::TempDir,
}

impl Workspace {
    /// 24 images of noise in the layout of CIFAR-10's binary batches.
    pub fn new() -> Self {
        let folder = super::folder();
        let images = folder.path().join("images");
        std::fs::create_dir(&images).unwrap();
        let mut state = 7_u32;
        let mut batch = |rows: usize| {
            let mut bytes = Vec::new();
            for row in 0..rows {
                bytes.push((row % 10) as u8);
                bytes.extend((0..3 * 32 * 32).map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    (state >> 24) as u8
                }));
            }
            bytes
        };
        for number in 1..=5 {
            std::fs::write(images.join(format!("data_batch_{number}.bin")), batch(12)).unwrap();
        }
        std::fs::write(images.join("test_batch.bin"), batch(20)).unwrap();
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env_remove("DRIFTLINE_PLUGIN_PATH")
            .stdin(Stdio::null());
        command
    }

    /// A whole run into a store.
    pub fn run(&self, store: &Path) -> Command {
        let mut command = self.command(&[
            "quickstart",
            "--quiet",
            "--dataset",
            "images#train",
            "--events",
            "images#test",
            "--model",
            "sample",
            "--now",
            NOW,
            "--days",
            "2",
            "--per-day",
            "8",
            "--store",
        ]);
        command.arg(store);
        command
    }
}

/// That a command ended well.
pub fn succeeded(mut command: Command) -> Result<(), String> {
    let output = command.output().unwrap();
    let ended = Ended::of(&output, Path::new("/nowhere"));
    ended.is_orderly(&[0])
}

/// Event ids with their embeddings and labels; an error if one is there twice or a file is damaged.
pub fn rows(store: &Path) -> Result<BTreeMap<String, (Vec<u32>, String)>, String> {
    let store = Store::open(store, PROJECT, MODEL).map_err(|e| e.to_string())?;
    let dim = store.monitor().schema.dim;
    let mut all = BTreeMap::new();
    for mut parts in
        [store.baseline(), store.events(..)].map(|parts| parts.map_err(|e| e.to_string()))
    {
        let parts = parts.as_mut().map_err(|e| e.clone())?;
        for rows in parts.by_ref() {
            let rows = rows.map_err(|e| e.to_string())?;
            for at in 0..rows.len() {
                let name = rows.event_ids().value(at).to_owned();
                let bits = rows.embeddings()[at * dim..(at + 1) * dim].iter();
                let row = (
                    bits.map(|value| value.to_bits()).collect(),
                    rows.targets().value(at).to_owned(),
                );
                if all.insert(name.clone(), row).is_some() {
                    return Err(format!("{name} is there twice"));
                }
            }
        }
        if !parts.damaged().is_empty() {
            return Err(format!("damaged: {:?}", parts.damaged()));
        }
    }
    Ok(all)
}
