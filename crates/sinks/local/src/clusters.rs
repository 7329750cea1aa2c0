//! `clusters.json`: clusters that were found elsewhere and belong to a model.

use std::fs;
use std::io;
use std::path::Path;

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::layout::Layout;
use crate::lock::Lock;
use crate::store::Store;

/// Centroids of the clusters over which a model's drift is measured. A model without them is clustered on its baseline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Centroids {
    /// Length of a centroid.
    pub dim: usize,
    /// f32 `[k, dim]`, row-major.
    pub values: Vec<f32>,
}

/// Centroids as they are on disk.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    #[serde(flatten)]
    centroids: Centroids,
    /// Digest of the values, so that a changed digit is no other centroid. Earlier versions wrote none.
    sha256: Option<String>,
}

impl Centroids {
    fn digest(&self) -> String {
        let bytes: Vec<u8> = self.values.iter().flat_map(|v| v.to_le_bytes()).collect();
        driftline_rows::sha256(&bytes)
    }
}

/// Keeps the clusters of a model that the store has.
///
/// # Errors
/// `NotFound` if the store has no such model, otherwise the failure of the file system.
pub fn write_clusters(
    store: &Path,
    project: &str,
    model: &str,
    centroids: &Centroids,
) -> Result<()> {
    let store = Store::open(store, project, model)?;
    let written = Written {
        sha256: Some(centroids.digest()),
        centroids: centroids.clone(),
    };
    let text = serde_json::to_vec(&written).map_err(|cause| {
        Error::new(
            ErrorKind::Internal,
            "write clusters.json",
            "it cannot be written as JSON",
        )
        .because(cause)
    })?;
    let _lock = Lock::acquire(store.layout())?;
    driftline_rows::write_atomic(&store.layout().clusters(), &text)
}

/// Reads `clusters.json`; `None` if there is none.
pub(crate) fn read(layout: &Layout) -> Result<Option<Centroids>> {
    let path = layout.clusters();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Error::io("read clusters.json", &path, e)),
    };
    let damaged = || {
        Error::new(
            ErrorKind::InvalidData,
            "read clusters.json",
            "the clusters of the model are damaged",
        )
        .with("file", path.display())
        .remedy("remove it; the clusters are then found on the baseline")
    };
    let Written { centroids, sha256 } =
        serde_json::from_slice(&bytes).map_err(|cause| damaged().because(cause))?;
    let whole = sha256.is_none_or(|sha256| sha256 == centroids.digest())
        && centroids.dim > 0
        && !centroids.values.is_empty()
        && centroids.values.len().is_multiple_of(centroids.dim);
    if whole {
        Ok(Some(centroids))
    } else {
        Err(damaged())
    }
}
