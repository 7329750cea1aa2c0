//! Short names of what a run or a monitor is.

use driftline_core::{Error, ErrorKind, Result};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// The first 12 hex digits of the sha256 of the canonical JSON of `identity`.
pub(crate) fn hash(identity: &impl Serialize) -> Result<String> {
    let json = serde_json::to_vec(identity).map_err(|cause| {
        Error::new(
            ErrorKind::Internal,
            "name the run",
            "the settings cannot be hashed",
        )
        .because(cause)
    })?;
    Ok(hex::encode(&Sha256::digest(json)[..6]))
}
