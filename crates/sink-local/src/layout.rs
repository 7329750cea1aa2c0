//! Names: which folder and file holds what.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use jiff::civil::Date;

use crate::rewrite::{Journal, is_staged};
use crate::store::{Part, Section};

const PREFIX: &str = "part-";
const SUFFIX: &str = ".parquet";
const DIGEST_DIGITS: usize = 16;
const ID_CHARS: usize = 80;

/// The folder of one model, `<store>/<project>/<model>`.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(crate) fn new(store: &Path, project: &str, model: &str) -> Result<Self> {
        check_name("project", project)?;
        check_name("model", model)?;
        Ok(Self {
            folder: store.join(project).join(model),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn monitor(&self) -> PathBuf {
        self.folder.join("monitor.json")
    }

    pub(crate) fn clusters(&self) -> PathBuf {
        self.folder.join("clusters.json")
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.folder.join("rewrite.json")
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.folder.join(".lock")
    }

    pub(crate) fn damaged(&self) -> PathBuf {
        self.folder.join("damaged")
    }

    fn events(&self) -> PathBuf {
        self.folder.join("events")
    }

    pub(crate) fn section(&self, section: Section) -> PathBuf {
        match section {
            Section::Baseline => self.folder.join("baseline"),
            Section::Events(date) => self.events().join(format!("date={date}")),
        }
    }

    /// Every folder that holds part files, with what it holds, in the order of dates.
    fn sections(&self) -> Result<Vec<Section>> {
        let mut dates: Vec<Date> = names_in(&self.events())?
            .iter()
            .filter_map(|name| name.strip_prefix("date=")?.parse().ok())
            .collect();
        dates.sort_unstable();
        let events = dates.into_iter().map(Section::Events);
        Ok(std::iter::once(Section::Baseline).chain(events).collect())
    }

    /// The part files of the sections that `wanted` selects, in order of section and name.
    pub(crate) fn parts(&self, wanted: impl Fn(Section) -> bool) -> Result<Vec<Part>> {
        let mut parts = Vec::new();
        for section in self.sections()?.into_iter().filter(|s| wanted(*s)) {
            let folder = self.section(section);
            let mut names = names_in(&folder)?;
            names.retain(|name| name.ends_with(SUFFIX) && !name.starts_with('.'));
            names.sort_unstable();
            parts.extend(names.into_iter().map(|name| Part {
                path: folder.join(name),
                section,
            }));
        }
        Journal::read(self)?.apply(self, &mut parts);
        Ok(parts)
    }

    /// Files that a killed process left half written. The caller holds the lock, so nobody is writing them.
    pub(crate) fn leftovers(&self) -> Result<Vec<PathBuf>> {
        let mut folders = vec![self.folder.clone()];
        folders.extend(self.sections()?.into_iter().map(|s| self.section(s)));
        let mut found = Vec::new();
        for folder in folders {
            let names = names_in(&folder)?;
            let leftover = names
                .iter()
                .filter(|n| driftline_rows::durable::is_temporary(n) || is_staged(n));
            found.extend(leftover.map(|name| folder.join(name)));
        }
        Ok(found)
    }
}

/// `part-<first event_id>-<rows>-<digest>.parquet`; the digest makes equal names mean equal files.
pub(crate) fn part_name(first_id: &str, rows: usize, digest: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let id: String = first_id
        .chars()
        .take(ID_CHARS)
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    let digest = digest.get(..DIGEST_DIGITS).unwrap_or(digest);
    format!("{PREFIX}{id}-{rows}-{digest}{SUFFIX}")
}

/// The digest in a name that [`part_name`] made; `None` for files that somebody else put there.
pub(crate) fn digest_in(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    let stem = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (_, digest) = stem.rsplit_once('-')?;
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    (digest.len() == DIGEST_DIGITS && digest.chars().all(hex)).then_some(digest)
}

/// Names in a folder that are text; none if there is no such folder.
pub(crate) fn names_in(folder: &Path) -> Result<Vec<String>> {
    let failed = |e| Error::io("list the store", folder, e);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(failed)?.file_name().into_string());
    }
    Ok(names)
}

fn check_name(what: &'static str, name: &str) -> Result<()> {
    let problem = if name.is_empty() {
        "it is empty"
    } else if name.starts_with('.') {
        "it starts with a dot"
    } else if name.contains(['/', '\\']) {
        "it has a path separator"
    } else if name.chars().any(char::is_control) {
        "it has a control character"
    } else if name.len() > 255 {
        "it is longer than 255 bytes"
    } else {
        return Ok(());
    };
    let message = format!("the {what} name {name:?} cannot be a folder: {problem}");
    Err(
        Error::new(ErrorKind::InvalidConfig, "name a store folder", message)
            .remedy(format!("give the {what} another name")),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_not_folder_names_are_refused() {
        for (name, problem) in [
            ("", "is empty"),
            ("..", "starts with a dot"),
            (".", "starts with a dot"),
            (".hidden", "starts with a dot"),
            ("a/b", "separator"),
            ("a\\b", "separator"),
            ("a\0b", "control character"),
            ("a\nb", "control character"),
            (&"x".repeat(256), "longer than 255"),
        ] {
            for (project, model) in [(name, "model"), ("project", name)] {
                let error = Layout::new(Path::new("s"), project, model).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidConfig);
                assert!(error.to_string().contains(problem), "{name:?}: {error}");
            }
        }
        let layout = Layout::new(Path::new("s"), "Küche 1", "resnet18.v2").unwrap();
        assert_eq!(layout.folder(), Path::new("s/Küche 1/resnet18.v2"));
    }

    #[test]
    fn part_names_keep_their_digest_and_hold_nothing_dangerous() {
        let digest = "0123456789abcdef0123";
        let name = part_name("a/../b c\n-00000001", 5, digest);
        assert_eq!(name, "part-a_.._b_c_-00000001-5-0123456789abcdef.parquet");
        assert_eq!(digest_in(Path::new(&name)), Some("0123456789abcdef"));
        let long = part_name(&"ü".repeat(1_000), 5, digest);
        assert!(long.len() < 200);
        for foreign in [
            "rows.parquet",
            "part-a-5.parquet",
            "part-a-5-0123456789abcdeg.parquet",
        ] {
            assert_eq!(digest_in(Path::new(foreign)), None);
        }
    }
}
