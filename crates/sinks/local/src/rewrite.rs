//! Part files that are replaced by others with changed or fewer rows.

use std::path::Path;

use arrow_array::RecordBatch;
use driftline_core::{Result, Rows};
use driftline_rows::RowsReader;

use crate::damage::{Damage, Fault, set_aside};
use crate::journal::Change;
use crate::layout::Layout;
use crate::part::PartFile;

/// What a rewrite did.
#[derive(Debug, Default)]
pub(crate) struct Rewritten {
    /// Rows that changed or went.
    pub(crate) rows: u64,
    /// Files that could not be read.
    pub(crate) damaged: Vec<Damage>,
}

/// Replaces every one of `parts` whose rows `change`, which says how many; `None` leaves them as they are. A damaged file is
/// set aside. All others change together: what is stopped on the way has changed nothing, or is completed by the next
/// writer. The caller holds the lock.
pub(crate) fn rewrite(
    layout: &Layout,
    parts: &[PartFile],
    mut change: impl FnMut(&Rows) -> Result<Option<(RecordBatch, u64)>>,
) -> Result<Rewritten> {
    let mut rewritten = Rewritten::default();
    let mut changes = Change::new(layout);
    for PartFile { path, section } in parts {
        let rows = match read(path) {
            Ok(rows) => rows,
            Err(error) => {
                let damage = set_aside(layout, path, Fault::from(error))?;
                rewritten.damaged.push(damage);
                continue;
            }
        };
        let mut changed = 0;
        let mut batches = Vec::new();
        for rows in &rows {
            match change(rows)? {
                Some((batch, count)) => {
                    changed += count;
                    batches.push(Ok(batch));
                }
                None => batches.push(Ok(rows.batch().clone())),
            }
        }
        if changed > 0 {
            let new = changes.write(*section, batches)?;
            changes.replace(path, new.as_deref());
            rewritten.rows += changed;
        }
    }
    changes.commit()?;
    Ok(rewritten)
}

fn read(path: &Path) -> Result<Vec<Rows>> {
    RowsReader::open(path)?.collect()
}
