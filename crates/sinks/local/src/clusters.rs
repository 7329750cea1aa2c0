//! `clusters.json`: clusters that were found elsewhere and belong to a model.

use std::fs;
use std::io;

use driftline_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::layout::Layout;

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

/// Writes `clusters.json`. The caller holds the lock.
pub(crate) fn write(layout: &Layout, centroids: &Centroids) -> Result<()> {
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
    driftline_rows::write_atomic(&layout.clusters(), &text)
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
