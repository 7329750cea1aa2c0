//! Single images, found by the url that rows carry.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use driftline_core::{Error, ErrorKind, ImageShape, Result};

use crate::decode::{coloured, rgb};
use crate::rows::{RawImage, RawRows, read_image_file};
use crate::{npz, parquet};

/// One image at the size that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Height and width.
    pub shape: ImageShape,
    /// u8 `[H, W, 3]` RGB.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// A JPEG, PNG or WebP file.
    ///
    /// # Errors
    /// `InvalidData` if it is none, is broken or has too many pixels.
    pub fn open(path: &Path) -> Result<Self> {
        decoded(RawImage::File(path.to_owned())).map_err(|reason| unusable(path, reason))
    }
}

/// Parquet and .npz files as an album: a url leads to an image.
#[derive(Debug, Default)]
pub struct Album {
    /// Urls that the files say themselves, with file and row.
    stored: HashMap<String, (usize, u64)>,
    /// The files.
    files: Vec<PathBuf>,
}

impl Album {
    /// Reads the urls of all rows of one file, or of the files directly in a folder; no images. A file that holds none is
    /// passed over.
    ///
    /// # Errors
    /// Those of reading the folder.
    pub fn open(location: &Path) -> Result<Self> {
        let io = |e| Error::io("open images", location, e);
        let mut album = Self::default();
        if location.is_file() {
            album.add(location.to_owned());
            return Ok(album);
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(location).map_err(io)? {
            let entry = entry.map_err(io)?;
            // A link could lead out of the folder.
            if entry.file_type().map_err(io)?.is_file() {
                files.push(entry.path());
            }
        }
        files.sort();
        files.into_iter().for_each(|file| album.add(file));
        Ok(album)
    }

    fn add(&mut self, file: PathBuf) {
        let urls = match kind(&file) {
            Some(Kind::Parquet) => parquet::urls(&file).ok(),
            Some(Kind::Npz) => Some(Vec::new()),
            None => None,
        };
        let Some(urls) = urls else {
            return;
        };
        let at = self.files.len();
        let places = (0..).map(|row| (at, row));
        let said = urls.into_iter().zip(places);
        self.stored
            .extend(said.filter_map(|(url, place)| Some((url?, place))));
        self.files.push(file);
    }

    /// Whether [`picture`](Self::picture) would look for an image.
    pub fn knows(&self, url: &str) -> bool {
        self.place(url).is_some()
    }

    /// The image of a url, `None` if no file has it.
    ///
    /// # Errors
    /// `InvalidData` if the file is damaged or the image is.
    pub fn picture(&self, url: &str) -> Result<Option<Picture>> {
        let Some((file, row)) = self.place(url) else {
            return Ok(None);
        };
        let row = match kind(file) {
            Some(Kind::Npz) => {
                let (rows, mut from) = npz::rows_from(file, row)?;
                if row < rows { from.next_row()? } else { None }
            }
            _ => parquet::rows_from(file, row)?.next_row()?,
        };
        row.map(|row| decoded(row.image).map_err(|reason| unusable(file, reason)))
            .transpose()
    }

    fn place(&self, url: &str) -> Option<(&Path, u64)> {
        if let Some((file, row)) = self.stored.get(url) {
            return Some((self.files.get(*file)?, *row));
        }
        let (name, row) = url.rsplit_once('#')?;
        let row = row.parse().ok()?;
        let named = |file: &&PathBuf| file.file_name().is_some_and(|found| found == name);
        let file = self.files.iter().find(named)?;
        Some((file, row))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Parquet,
    Npz,
}

fn kind(path: &Path) -> Option<Kind> {
    let extension = path.extension()?;
    [("parquet", Kind::Parquet), ("npz", Kind::Npz)]
        .into_iter()
        .find_map(|(name, kind)| extension.eq_ignore_ascii_case(name).then_some(kind))
}

fn decoded(image: RawImage) -> Result<Picture, String> {
    match image {
        RawImage::Encoded(bytes) => picture(&bytes),
        RawImage::File(path) => picture(&read_image_file(&path)?),
        RawImage::Pixels(shape, pixels) => Ok(Picture {
            shape,
            pixels: coloured(shape, pixels)?,
        }),
        RawImage::Defect(reason) => Err(reason),
    }
}

fn picture(bytes: &[u8]) -> Result<Picture, String> {
    let decoded = rgb(bytes, None)?;
    Ok(Picture {
        shape: ImageShape {
            height: decoded.height as usize,
            width: decoded.width as usize,
        },
        pixels: decoded.pixels,
    })
}

fn unusable(path: &Path, reason: String) -> Error {
    Error::new(ErrorKind::InvalidData, "show an image", reason).with("file", path.display())
}
