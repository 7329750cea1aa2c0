//! Where plugins are looked for.
//!
//! | order | folders |
//! | --- | --- |
//! | 1 | those that the user names |
//! | 2 | `DRIFTLINE_PLUGIN_PATH`, separated as in `PATH`; not in a program with raised rights (setuid) |
//! | 3 | `$XDG_DATA_HOME/driftline/plugins` or `~/.local/share/driftline/plugins`; not for root |
//! | 4 | `/usr/local/lib/driftline/plugins`, `/usr/lib/driftline/plugins` |
//!
//! Never the working directory, and never the loader's own path.

use std::path::{Path, PathBuf};

use driftline_core::Error;

use crate::manifest::{Manifest, SUFFIX};

/// The variable that names folders of plugins.
pub const VARIABLE: &str = "DRIFTLINE_PLUGIN_PATH";

const SYSTEM: [&str; 2] = [
    "/usr/local/lib/driftline/plugins",
    "/usr/lib/driftline/plugins",
];

/// What a search gave.
#[derive(Debug, Default)]
pub struct Search {
    /// The plugins, in the order of the folders; each name once.
    pub found: Vec<Found>,
    /// What was looked at, in order, and what came of it.
    pub trace: Vec<(PathBuf, String)>,
}

/// A plugin's manifest, or why it cannot be used.
#[derive(Debug)]
pub struct Found {
    /// The manifest's file.
    pub path: PathBuf,
    /// What it says.
    pub manifest: Result<Manifest, Error>,
}

impl Search {
    /// The trace as one text.
    pub fn trace(&self) -> String {
        let lines: Vec<_> = self
            .trace
            .iter()
            .map(|(path, what)| format!("{}: {what}", path.display()))
            .collect();
        lines.join("; ")
    }
}

/// The folders that are looked in, in order.
pub fn folders(named: &[PathBuf]) -> Vec<PathBuf> {
    let mut folders = named.to_vec();
    if let Some(path) = std::env::var_os(VARIABLE).filter(|_| !is_privileged()) {
        folders
            .extend(std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty()));
    }
    folders.extend(user_folder());
    folders.extend(SYSTEM.map(PathBuf::from));
    folders
}

/// The user's own folder of plugins; none for root, whose programs must not run what lies in a home.
pub fn user_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = absolute("HOME")?;
    #[cfg(unix)]
    // SAFETY: it takes nothing, changes nothing and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        return None;
    }
    let data = absolute("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share"));
    Some(data.join("driftline/plugins"))
}

/// Whether this program has more rights than whoever set its environment.
#[cfg(target_os = "linux")]
fn is_privileged() -> bool {
    // SAFETY: it reads a value that the system gave this process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_privileged() -> bool {
    false
}

/// Looks for plugins in [`folders`]. Runs none of them.
pub fn search(named: &[PathBuf]) -> Search {
    let mut search = Search::default();
    for folder in folders(named) {
        let what = look(&folder, &mut search.found);
        search.trace.push((folder, what));
    }
    search
}

fn look(folder: &Path, found: &mut Vec<Found>) -> String {
    if !folder.is_absolute() {
        return "not an absolute path, left out".to_owned();
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) => return cause.to_string(),
    };
    let mut manifests: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(SUFFIX))
        .collect();
    manifests.sort();
    let names: Vec<_> = manifests
        .iter()
        .map(|path| {
            path.file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    for path in manifests {
        let manifest = Manifest::open(&path);
        let first = manifest.as_ref().ok().and_then(|manifest| {
            found.iter().find_map(|other| {
                let other = other.manifest.as_ref().ok()?;
                (other.name == manifest.name).then_some(other.path.clone())
            })
        });
        if let Some(first) = first {
            log::warn!(
                "the plugin {} is left out: {} has the same name and comes first",
                path.display(),
                first.display()
            );
            continue;
        }
        found.push(Found { path, manifest });
    }
    if names.is_empty() {
        "no plugin".to_owned()
    } else {
        names.join(", ")
    }
}
