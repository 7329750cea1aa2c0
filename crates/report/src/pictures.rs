//! Pictures that may be shown: urls of rows to PNG.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use driftline_core::{Error, Result};
use driftline_data::{Album, Picture, Split, sample};
use image::imageops::thumbnail;
use image::{ImageFormat, RgbImage};

/// Longest side of a picture that is shown, in pixels; larger ones are made smaller.
pub const LONGEST_SIDE: u32 = 160;

/// Longest url that is looked for.
const LONGEST_URL: usize = 4096;

/// Where pictures may come from: the sample data set, and some folders. Nothing else is ever read, and what leaves is a
/// PNG made of the pixels, never the bytes of a file.
#[derive(Debug, Default)]
pub struct Pictures {
    roots: Vec<Root>,
}

/// A folder whose pictures may be shown, or a Parquet or .npz file.
#[derive(Debug)]
struct Root {
    /// Without links in it.
    folder: PathBuf,
    /// Its Parquet and .npz files, looked at when a url is asked for that is no file.
    album: OnceLock<Album>,
}

/// Where the picture of a url is.
enum Place<'a> {
    Sample(Split, u64),
    File(PathBuf),
    Album(&'a Album),
}

impl Pictures {
    /// The sample data set and what lies in `folders`: image files at any depth, whose urls are paths inside the folder,
    /// and the rows of the Parquet and .npz files directly in it. One such file may be named instead of its folder.
    ///
    /// # Errors
    /// `NotFound` and others of reading, naming the folder.
    pub fn new(folders: &[PathBuf]) -> Result<Self> {
        let root = |folder: &PathBuf| {
            let folder = folder
                .canonicalize()
                .map_err(|e| Error::io("open a folder of pictures", folder, e))?;
            Ok(Root {
                folder,
                album: OnceLock::new(),
            })
        };
        let roots = folders.iter().map(root).collect::<Result<_>>()?;
        Ok(Self { roots })
    }

    /// Whether there seems to be a picture; it is not read.
    pub fn knows(&self, url: &str) -> bool {
        self.place(url).is_some()
    }

    /// The picture of a url as PNG, its longer side at most [`LONGEST_SIDE`]; `None` if there is none that may be shown.
    pub fn png(&self, url: &str) -> Option<Vec<u8>> {
        let picture = match self.place(url)? {
            Place::Sample(split, row) => Picture {
                shape: sample::SHAPE,
                pixels: sample::scene(split, row).1,
            },
            Place::File(path) => Picture::open(&path).ok()?,
            Place::Album(album) => album.picture(url).ok()??,
        };
        encoded(picture)
    }

    fn place(&self, url: &str) -> Option<Place<'_>> {
        if url.is_empty() || url.len() > LONGEST_URL {
            return None;
        }
        if let Some((split, row)) = sample_row(url) {
            return Some(Place::Sample(split, row));
        }
        self.roots.iter().find_map(|root| root.place(url))
    }
}

impl Root {
    fn place(&self, url: &str) -> Option<Place<'_>> {
        if let Some(path) = self.file(url.strip_prefix("file://").unwrap_or(url)) {
            return Some(Place::File(path));
        }
        let album = self
            .album
            .get_or_init(|| Album::open(&self.folder).unwrap_or_default());
        album.knows(url).then_some(Place::Album(album))
    }

    /// A file whose path, with all `..` and links followed, is inside the folder.
    fn file(&self, path: &str) -> Option<PathBuf> {
        let path = self.folder.join(Path::new(path)).canonicalize().ok()?;
        (path.starts_with(&self.folder) && path.is_file()).then_some(path)
    }
}

/// Split and row of a url of the sample data set, as in `sample/test/00042-rings.png`.
fn sample_row(url: &str) -> Option<(Split, u64)> {
    let (split, name) = url.strip_prefix("sample/")?.split_once('/')?;
    let split = [Split::Train, Split::Test]
        .into_iter()
        .find(|known| known.to_string() == split)?;
    let (row, class) = name.strip_suffix(".png")?.split_once('-')?;
    let digits = row.bytes().all(|byte| byte.is_ascii_digit());
    let row = row.parse().ok().filter(|_| digits)?;
    // The name of the class is part of the url, and must be right.
    let (found, _) = sample::scene(split, row);
    (sample::CLASSES.get(found) == Some(&class)).then_some((split, row))
}

fn encoded(picture: Picture) -> Option<Vec<u8>> {
    let width = u32::try_from(picture.shape.width).ok()?;
    let height = u32::try_from(picture.shape.height).ok()?;
    let mut image = RgbImage::from_raw(width, height, picture.pixels)?;
    let longest = width.max(height);
    if longest > LONGEST_SIDE {
        let side = |side: u32| {
            let scaled = u64::from(side) * u64::from(LONGEST_SIDE) / u64::from(longest);
            u32::try_from(scaled).unwrap_or(LONGEST_SIDE).max(1)
        };
        image = thumbnail(&image, side(width), side(height));
    }
    let mut png = Vec::new();
    image
        .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
        .ok()?;
    Some(png)
}
