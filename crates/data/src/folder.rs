//! Folders of images, with or without one folder per class.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use driftline_core::{Error, ErrorKind, Label, Result, SourceInfo};
use walkdir::{DirEntry, WalkDir};

use crate::DecodeOptions;
use crate::fingerprint::Fingerprint;
use crate::rows::{RawImage, RawRow, RawRows, RowSource};

const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

struct Folder {
    root: PathBuf,
    /// Sorted, relative to the root.
    images: Vec<PathBuf>,
    labels: Labels,
    next: usize,
}

/// What the name of the first folder below the root means.
enum Labels {
    None,
    Names,
    Indices,
}

/// Images directly in `root` have no label; images in folders of it take the name of that folder, or its number
/// when all the names are whole numbers.
pub(crate) fn open(root: &Path, location: &str, options: &DecodeOptions) -> Result<RowSource> {
    let mut found = Vec::new();
    let walk = WalkDir::new(root).follow_links(true).into_iter();
    for entry in walk.filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry)) {
        let entry = entry.map_err(|e| unreadable(root, e))?;
        if !entry.file_type().is_file() || !has_image_extension(entry.path()) {
            continue;
        }
        let metadata = entry.metadata().map_err(|e| unreadable(root, e))?;
        let modified = metadata
            .modified()
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map_or(0, |age| age.as_nanos());
        let relative = entry.path().strip_prefix(root).unwrap_or(entry.path());
        found.push((relative.to_owned(), metadata.len(), modified));
    }
    found.sort();
    let refuse = |message: String| {
        Error::new(ErrorKind::InvalidData, "open images", message).with("folder", root.display())
    };
    if found.is_empty() {
        return Err(refuse("the folder holds no images".to_owned())
            .remedy(format!("images end in .{}", EXTENSIONS.join(", ."))));
    }
    let classes: Vec<Option<&OsStr>> = found.iter().map(|(path, ..)| class(path)).collect();
    let labels = if classes.iter().all(Option::is_none) {
        Labels::None
    } else if let Some(at) = classes.iter().position(Option::is_none) {
        let loose = found.get(at).map(|(path, ..)| path.display().to_string());
        return Err(refuse(
            "the folder holds both class folders and images outside of them".to_owned(),
        )
        .with("image", loose.unwrap_or_default())
        .remedy("move the images into a class folder, or name a folder that holds only one kind"));
    } else if classes.iter().flatten().all(|name| index(name).is_some()) {
        Labels::Indices
    } else {
        Labels::Names
    };
    let mut fingerprint = Fingerprint::default();
    for (path, length, modified) in &found {
        fingerprint.part(url(path));
        fingerprint.part(length.to_le_bytes());
        fingerprint.part(modified.to_le_bytes());
    }
    let info = SourceInfo {
        location: location.to_owned(),
        rows: found.len() as u64,
        fingerprint: fingerprint.finish(),
    };
    let folder = Folder {
        root: root.to_owned(),
        images: found.into_iter().map(|(path, ..)| path).collect(),
        labels,
        next: 0,
    };
    Ok(RowSource::new(info, options, folder))
}

impl RawRows for Folder {
    fn next_row(&mut self) -> Result<Option<RawRow>> {
        let Some(path) = self.images.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        let label = match (&self.labels, class(path)) {
            (Labels::None, _) | (_, None) => None,
            (Labels::Names, Some(name)) => Some(Label::Name(name.to_string_lossy().into_owned())),
            (Labels::Indices, Some(name)) => index(name).map(Label::Index),
        };
        Ok(Some(RawRow {
            image: RawImage::File(self.root.join(path)),
            label,
            url: url(path),
        }))
    }

    fn skip(&mut self, rows: u64) -> Result<()> {
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        self.next = self.next.saturating_add(rows);
        Ok(())
    }
}

/// The first folder of a relative path, if the file lies in one.
fn class(path: &Path) -> Option<&OsStr> {
    let mut parts = path.iter();
    let first = parts.next();
    parts.next().and(first)
}

fn index(name: &OsStr) -> Option<u64> {
    let name = name.to_str()?;
    let digits = name.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| name.parse().ok())?
}

/// The relative path, with `/` on every system.
fn url(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(OsStr::to_string_lossy).collect();
    parts.join("/")
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn has_image_extension(path: &Path) -> bool {
    path.extension()
        .is_some_and(|found| EXTENSIONS.iter().any(|e| found.eq_ignore_ascii_case(e)))
}

fn unreadable(root: &Path, e: walkdir::Error) -> Error {
    let path = e.path().unwrap_or(root).to_owned();
    Error::io("open images", &path, e.into())
}
