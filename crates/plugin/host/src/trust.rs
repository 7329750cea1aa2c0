//! Whether a file may be loaded: who can change it, and whether it is the one that the operator trusted.

use std::path::Path;

use driftline_core::{Error, ErrorKind, Result};
use fs_mistrust::Mistrust;

/// The variable that switches the check of owners and modes off, for machines where it cannot hold.
pub const VARIABLE: &str = "DRIFTLINE_TRUST_PERMISSIONS";

/// Refuses a file that someone else could change: it and every folder above it must belong to root or to the user, and
/// be writable by nobody else.
pub fn check_permissions(path: &Path) -> Result<()> {
    let refuse = |cause: fs_mistrust::Error| {
        Error::new(
            ErrorKind::InvalidConfig,
            "load plugin",
            "someone else could change this plugin",
        )
        .with("file", path.display())
        .because(cause)
        .remedy(format!(
            "put it in a folder that only you or root can write to, all folders above it included, or set {VARIABLE}=1"
        ))
    };
    let mistrust = Mistrust::builder()
        .controlled_by_env_var(VARIABLE)
        .build()
        .map_err(|cause| {
            Error::new(
                ErrorKind::Internal,
                "load plugin",
                "permissions cannot be checked",
            )
            .because(cause)
        })?;
    mistrust
        .verifier()
        .permit_readable()
        .require_file()
        .check(path)
        .map_err(refuse)
}
