//! Names: which folder and file holds what.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use jiff::civil::Date;

use crate::journal::Journal;
use crate::store::{Part, Section};

const PREFIX: &str = "part-";
const SUFFIX: &str = ".parquet";
const DIGEST_DIGITS: usize = 16;
const ID_CHARS: usize = 80;
const STAGED_SUFFIX: &str = ".new";
/// How often the folders are listed until nobody has changed them meanwhile.
const LISTINGS: usize = 100;

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
            Section::Events(date) => self.events().join(folder_of_day(date)),
        }
    }

    /// Every folder that holds part files, with what it holds, in the order of dates.
    fn sections(&self) -> Result<Vec<Section>> {
        let events = self.events();
        let mut dates: Vec<Date> = names_in(&events)?
            .iter()
            .filter_map(|name| day(name))
            // What is no folder has no rows, and keeps the other days from nothing.
            .filter(|date| events.join(folder_of_day(*date)).is_dir())
            .collect();
        dates.sort_unstable();
        let events = dates.into_iter().map(Section::Events);
        Ok(std::iter::once(Section::Baseline).chain(events).collect())
    }

    /// Files that stand where the folder of a day should be.
    pub(crate) fn strays(&self) -> Result<Vec<PathBuf>> {
        let events = self.events();
        let days = names_in(&events)?.into_iter().filter(|n| day(n).is_some());
        let paths = days.map(|name| events.join(name));
        Ok(paths.filter(|path| !path.is_dir()).collect())
    }

    /// The part files of the sections that `wanted` selects, in order of section and name. The caller holds the lock.
    pub(crate) fn parts(&self, wanted: impl Fn(Section) -> bool) -> Result<Vec<Part>> {
        let mut parts = self.listed(&wanted)?;
        Journal::read(self)?.apply(self, wanted, &mut parts);
        Ok(parts)
    }

    /// [`parts`](Self::parts) as they were at one moment, also while somebody writes.
    pub(crate) fn snapshot(&self, wanted: impl Fn(Section) -> bool) -> Result<Vec<Part>> {
        let mut parts = self.listed(&wanted)?;
        for _ in 0..LISTINGS {
            let journal = Journal::read(self)?;
            let again = self.listed(&wanted)?;
            if parts == again {
                journal.apply(self, wanted, &mut parts);
                return Ok(parts);
            }
            parts = again;
        }
        let message = format!("its files changed during each of {LISTINGS} listings");
        Err(Error::new(ErrorKind::Resource, "list the store", message)
            .with("folder", self.folder.display())
            .retryable())
    }

    /// The part files that have their names, whatever the journal says.
    pub(crate) fn listed(&self, wanted: &impl Fn(Section) -> bool) -> Result<Vec<Part>> {
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
        Ok(parts)
    }

    /// What a part file holds, from its path below the folder of the model; `None` if it is no place of a part file.
    pub(crate) fn section_of(below: &Path) -> Option<Section> {
        let names = below.components().map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
        let names: Vec<&str> = names.collect::<Option<_>>()?;
        let (section, name) = match names.as_slice() {
            ["baseline", name] => (Section::Baseline, name),
            ["events", folder, name] => (Section::Events(day(folder)?), name),
            _ => return None,
        };
        (name.ends_with(SUFFIX) && !name.starts_with('.')).then_some(section)
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

fn folder_of_day(date: Date) -> String {
    format!("date={date}")
}

/// The day whose folder has this name.
fn day(name: &str) -> Option<Date> {
    let date = name.strip_prefix("date=")?.parse().ok()?;
    (folder_of_day(date) == name).then_some(date)
}

/// Whether a file name is one that a part file has before it counts.
pub(crate) fn is_staged(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(STAGED_SUFFIX)
}

/// The name that a part file has before it counts.
pub(crate) fn staged_name(name: &str) -> String {
    format!(".{name}{STAGED_SUFFIX}")
}

/// Where a part file is before it counts.
pub(crate) fn staged(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(staged_name(&name))
}

/// Where a part file will be once it counts, or is already.
pub(crate) fn unstaged(path: &Path) -> PathBuf {
    match path.file_name().and_then(|name| name.to_str()) {
        Some(name) if is_staged(name) => path.with_file_name(part_of(name)),
        _ => path.to_owned(),
    }
}

fn part_of(name: &str) -> &str {
    let bare = name.strip_prefix('.');
    bare.and_then(|name| name.strip_suffix(STAGED_SUFFIX))
        .unwrap_or(name)
}

/// `part-<first event_id>-<rows>-<digest>.parquet`; the digest makes equal names mean equal files.
pub(crate) fn part_name(first_id: &str, rows: u64, digest: &str) -> String {
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
    rows_and_digest(path).map(|(_, digest)| digest)
}

/// The number of rows in a name that [`part_name`] made.
pub(crate) fn rows_in(path: &Path) -> Option<u64> {
    rows_and_digest(path).map(|(rows, _)| rows)
}

fn rows_and_digest(path: &Path) -> Option<(u64, &str)> {
    let name = part_of(path.file_name()?.to_str()?);
    let stem = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
    let (rest, digest) = stem.rsplit_once('-')?;
    let (_, rows) = rest.rsplit_once('-')?;
    let hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let digest = Some(digest).filter(|d| d.len() == DIGEST_DIGITS && d.chars().all(hex))?;
    Some((rows.parse().ok()?, digest))
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
        assert_eq!(rows_in(Path::new(&name)), Some(5));
        let hidden = staged(&Path::new("events").join(&name));
        assert_eq!(digest_in(&hidden), Some("0123456789abcdef"));
        assert_eq!(unstaged(&hidden), Path::new("events").join(&name));
        let long = part_name(&"ü".repeat(1_000), 5, digest);
        assert!(long.len() < 200);
        for (place, section) in [
            ("baseline/a.parquet", Some(Section::Baseline)),
            (
                "events/date=2026-11-01/a.parquet",
                Some(Section::Events(jiff::civil::date(2026, 11, 1))),
            ),
            ("events/date=20261101/a.parquet", None),
            ("events/date=2026-11-01/.a.parquet.new", None),
            ("events/date=2026-11-01/../a.parquet", None),
            ("../baseline/a.parquet", None),
            ("/baseline/a.parquet", None),
            ("monitor.json", None),
        ] {
            assert_eq!(Layout::section_of(Path::new(place)), section, "{place}");
        }
        for foreign in [
            "rows.parquet",
            "part-a-5.parquet",
            "part-a-5-0123456789abcdeg.parquet",
        ] {
            assert_eq!(digest_in(Path::new(foreign)), None);
        }
    }
}
