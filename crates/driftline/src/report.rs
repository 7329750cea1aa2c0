//! A store as one page that opens offline.

use std::path::{Path, PathBuf};

use driftline_core::Result;
use driftline_report::{Pictures, store_page};
use serde::Serialize;

/// What the page of a store shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReportOptions {
    /// Project and model of those it shows; without any, every model of the store.
    pub only: Vec<(String, String)>,
    /// Folders with images that it may show, or files that hold them.
    pub images: Vec<PathBuf>,
}

/// A page that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportFile {
    /// The HTML file.
    #[serde(serialize_with = "crate::as_shown")]
    pub report: PathBuf,
    /// Its size.
    pub bytes: usize,
}

/// Writes the page of the store at `store` as the HTML file `output`.
///
/// # Errors
/// `NotFound` for a model that is not there, or a store without any; those of reading and writing.
pub fn report(store: &Path, output: &Path, options: &ReportOptions) -> Result<ReportFile> {
    let pictures = Pictures::new(&options.images)?;
    let page = store_page(store, &options.only, &pictures)?;
    driftline_rows::write_atomic(output, page.as_bytes())?;
    Ok(ReportFile {
        report: output.to_owned(),
        bytes: page.len(),
    })
}
