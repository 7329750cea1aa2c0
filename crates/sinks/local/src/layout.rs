//! Names: which folder and file holds what.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use driftline_core::{Error, ErrorKind, Result};
use jiff::civil::Date;

use crate::part::{PartFile, Section, is_part, is_staged};

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

    /// The part files that have their names, whatever the journal says.
    pub(crate) fn listed(&self, wanted: &impl Fn(Section) -> bool) -> Result<Vec<PartFile>> {
        let mut parts = Vec::new();
        for section in self.sections()?.into_iter().filter(|s| wanted(*s)) {
            let folder = self.section(section);
            let mut names = names_in(&folder)?;
            names.retain(|name| is_part(name));
            names.sort_unstable();
            parts.extend(names.into_iter().map(|name| PartFile {
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
        is_part(name).then_some(section)
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
    fn only_the_place_of_a_part_file_has_a_section() {
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
    }
}
