//! `server.db` and uploads, checked and repaired.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `damage` | what SQLite finds wrong with the database |
//! | `faults` | what is wrong with its entries |
//! | `leftovers` | uploads that nothing names |
//! | `salvage` | what can still be read of a damaged database, in a new one |
//!
//! Nothing that cannot be read is thrown away: entries go to the table `aside`, a damaged database stays beside the new
//! one. A repair that was interrupted goes on when it is called again.

mod damage;
mod faults;
mod leftovers;
mod salvage;

use std::path::Path;

use driftline_core::{Error, ErrorKind, Finding, Result};

use crate::domain::catalog::{Catalog, salvaged};
use crate::domain::error::told;
use crate::domain::layout::Layout;
use damage::{damage, finding, repaired};
use faults::{Fault, faults};
use leftovers::{leftover, leftovers};

const SALVAGED: &str =
    "what can be read goes into a new database, the old one stays beside it as server.db.damaged-1";

/// Says what is wrong with the server's database and uploads in the store. A server may run meanwhile.
///
/// # Errors
/// `Resource` if a file cannot be read for another reason than damage; `Unsupported` for a database of a later driftline.
pub fn check(store: &Path) -> Result<Vec<Finding>> {
    let place = Layout::of(store);
    if salvaged(&place.database).exists() {
        return Ok(vec![interrupted(&place.database)]);
    }
    if !place.database.exists() {
        return Ok(Vec::new());
    }
    let mut findings: Vec<Finding> = damage(&place.database)?
        .iter()
        .map(|line| finding(&place.database, line, SALVAGED, None))
        .collect();
    if findings.is_empty() {
        let (faults, owned) = faults(&place)?;
        findings.extend(faults.iter().map(|fault| fault.finding(&place.database)));
        for path in leftovers(&place.uploads, &owned)? {
            findings.push(leftover(path));
        }
    }
    Ok(findings)
}

/// Repairs what [`check`] finds, and says what was done. No server may run.
///
/// # Errors
/// `Resource` if a server has the store, or a file cannot be written; what was repaired until then stays repaired.
pub fn repair(store: &Path) -> Result<Vec<Finding>> {
    let place = Layout::of(store);
    if !place.folder.exists() {
        return Ok(Vec::new());
    }
    let _lock = place.lock()?;
    let mut done = Vec::new();
    if salvage::finish(&place.database)? {
        done.push(repaired(interrupted(&place.database)));
    }
    if !place.database.exists() {
        return Ok(done);
    }
    let damage = damage(&place.database)?;
    if !damage.is_empty() {
        salvage::salvage(&place.database)?;
        for line in damage {
            done.push(repaired(finding(&place.database, &line, SALVAGED, None)));
        }
    }
    let catalog = Catalog::open(&place.database)?;
    let (faults, owned) = faults(&place)?;
    let knows_owners = done.is_empty() && !faults.iter().any(Fault::hides_uploads);
    for fault in faults {
        let is_done = catalog
            .change(|documents| fault.repair(documents))
            .map_err(|error| {
                let message = told(&error).message;
                Error::new(ErrorKind::Resource, "repair the server's database", message)
                    .with("file", place.database.display())
            })?;
        let mut finding = fault.finding(&place.database);
        finding.repaired |= is_done;
        done.push(finding);
    }
    // What cannot be read may have named uploads; they are left to the server, which removes them when they are old.
    let unowned = if knows_owners {
        leftovers(&place.uploads, &owned)?
    } else {
        Vec::new()
    };
    for path in unowned {
        std::fs::remove_file(&path).map_err(|e| Error::io("remove an upload", &path, e))?;
        done.push(repaired(leftover(path)));
    }
    Ok(done)
}

fn interrupted(database: &Path) -> Finding {
    let problem = "a repair was interrupted; until it ends no server starts";
    finding(database, problem, "it is ended", Some(0))
}
