//! What a check of durable files found.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// One thing that is not as it should be, or that a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it.
    pub problem: String,
    /// Rows that are lost with it unless they are published again; `None` where that cannot be told.
    pub rows_lost: Option<u64>,
    /// What a repair does about it, or did.
    pub repair: String,
    /// Whether that is done.
    pub repaired: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.problem)?;
        match self.rows_lost {
            Some(0) => {}
            Some(1) => write!(f, "; 1 row is lost unless it is published again")?,
            Some(rows) => write!(f, "; {rows} rows are lost unless they are published again")?,
            None => write!(f, "; the number of lost rows is unknown")?,
        }
        let tense = if self.repaired { "done" } else { "repair" };
        write!(f, "; {tense}: {}", self.repair)
    }
}
