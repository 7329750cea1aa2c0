//! The profiles that a run leaves in its store: one of each day of each window, over all its events, and one of the
//! baseline, over the rows that it was compiled from.
//!
//! They are in `<store>/<project>/<model>/profiles/<run id>.parquet`, whatever the sink, with the columns of
//! [`driftline_stats::buckets_to_batch`].

use std::path::{Path, PathBuf};

use driftline_core::{MonitorSpec, Result};
use driftline_rows::{create_folder, read_table, write_table};
use driftline_stats::{Bucket, buckets_from_batch, buckets_to_batch};

/// The file of a run.
pub fn path(store: &Path, monitor: &MonitorSpec, run_id: &str) -> PathBuf {
    store
        .join(folder_name(&monitor.project))
        .join(folder_name(&monitor.model))
        .join("profiles")
        .join(format!("{run_id}.parquet"))
}

/// Writes the file of a run, in one step; one that is there is replaced.
///
/// # Errors
/// The failure of the file system, naming the file.
pub fn write(path: &Path, buckets: &[Bucket]) -> Result<()> {
    if let Some(folder) = path.parent() {
        create_folder(folder)?;
    }
    write_table(path, &buckets_to_batch(buckets)?)
}

/// Reads the file of a run.
///
/// # Errors
/// Those of [`read_table`] and [`buckets_from_batch`], naming the file.
pub fn read(path: &Path) -> Result<Vec<Bucket>> {
    let mut buckets = Vec::new();
    for batch in read_table(path)? {
        let more = buckets_from_batch(&batch);
        buckets.extend(more.map_err(|error| error.with("file", path.display()))?);
    }
    Ok(buckets)
}

/// `name` where the local store takes it for a folder. Other sinks may allow any name; what cannot be in that of a folder is
/// replaced then.
fn folder_name(name: &str) -> String {
    let allowed = |c: char| !c.is_control() && !matches!(c, '/' | '\\');
    let mut plain: String = name
        .chars()
        .map(|c| if allowed(c) { c } else { '_' })
        .collect();
    if plain.is_empty() || plain.starts_with('.') {
        plain.insert(0, '_');
    }
    while plain.len() > 255 {
        plain.pop();
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leaves_the_store() {
        for (name, folder) in [
            ("Küche 1", "Küche 1"),
            ("resnet18.v2", "resnet18.v2"),
            ("", "_"),
            ("..", "_.."),
            ("../b", "_.._b"),
            ("a/b\\c\n", "a_b_c_"),
        ] {
            assert_eq!(folder_name(name), folder);
        }
        assert_eq!(folder_name(&"ü".repeat(300)).len(), 254);
    }
}
