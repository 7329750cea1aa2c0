//! Part files: what one holds, and what its name says.

use std::path::{Path, PathBuf};

use jiff::civil::Date;

const PREFIX: &str = "part-";
const SUFFIX: &str = ".parquet";
const DIGEST_DIGITS: usize = 16;
const ID_CHARS: usize = 80;
const STAGED_SUFFIX: &str = ".new";

/// What a part file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    /// Rows of the baseline.
    Baseline,
    /// Events of one day in UTC.
    Events(Date),
}

/// One Parquet file of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartFile {
    /// Where it is.
    pub path: PathBuf,
    /// What it holds.
    pub section: Section,
}

/// Whether a file name is that of a part file that counts.
pub(crate) fn is_part(name: &str) -> bool {
    name.ends_with(SUFFIX) && !name.starts_with('.')
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

#[cfg(test)]
mod tests {
    use super::*;

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
        for foreign in [
            "rows.parquet",
            "part-a-5.parquet",
            "part-a-5-0123456789abcdeg.parquet",
        ] {
            assert_eq!(digest_in(Path::new(foreign)), None);
        }
    }
}
