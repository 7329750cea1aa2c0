//! Small part files that become few.
//!
//! Every publish call leaves a file for each date. So that many small calls do not leave as many files, a call that adds to
//! a date merges what is there in steps: files of like size become one of the next size, so that a row is copied a few
//! times at most however many calls there are.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use driftline_core::Result;
use driftline_rows::RowsReader;

use crate::catalog::{Catalog, Size};
use crate::journal::Change;
use crate::part::{PartFile, digest_in, unstaged};

/// Bytes of a part file, about; larger ones come only from larger calls.
pub(crate) const PART_BYTES: usize = 64 << 20;

/// Files of like size that become one, and how many times more rows the next size has.
const TIER: u64 = 16;

/// Bytes of a file that is not worth merging on the way.
const ENOUGH_BYTES: usize = PART_BYTES / 4;

/// Part files of one section that shall become one file.
pub(crate) type Group = Vec<PartFile>;

/// The groups to merge when rows are added to a section that has `parts`.
pub(crate) fn due(catalog: &Catalog, parts: &[PartFile]) -> Vec<Group> {
    let mut tiers: BTreeMap<(u32, &[String]), Vec<&PartFile>> = BTreeMap::new();
    for part in parts {
        if let Some(size) = small(catalog, part, ENOUGH_BYTES) {
            let tier = size.rows.max(1).ilog(TIER);
            let properties = size.schema.properties.as_slice();
            tiers.entry((tier, properties)).or_default().push(part);
        }
    }
    tiers.retain(|_, parts| parts.len() as u64 >= TIER);
    tiers
        .into_values()
        .flat_map(|parts| full(catalog, &parts))
        .collect()
}

/// The groups that leave as few files as there can be of a section that has `parts`.
pub(crate) fn all(catalog: &Catalog, parts: &[PartFile]) -> Vec<Group> {
    let mut kinds: BTreeMap<&[String], Vec<&PartFile>> = BTreeMap::new();
    for part in parts {
        if let Some(size) = small(catalog, part, PART_BYTES / 2) {
            let properties = size.schema.properties.as_slice();
            kinds.entry(properties).or_default().push(part);
        }
    }
    kinds
        .into_values()
        .flat_map(|parts| full(catalog, &parts))
        .collect()
}

/// The size of a file that can be merged: one of the sink's own that has at most `most` bytes.
fn small<'c>(catalog: &'c Catalog, part: &PartFile, most: usize) -> Option<Size<'c>> {
    let ours = digest_in(&part.path).is_some();
    let size = catalog.size(&part.path)?;
    (ours && size.bytes <= most as u64).then_some(size)
}

/// Groups of files in their order, none of which becomes larger than a part file should.
fn full(catalog: &Catalog, parts: &[&PartFile]) -> Vec<Group> {
    let mut groups: Vec<(u64, Group)> = Vec::new();
    for part in parts {
        let bytes = catalog.size(&part.path).map_or(0, |size| size.bytes);
        match groups.last_mut() {
            Some((sum, group)) if *sum + bytes <= PART_BYTES as u64 => {
                *sum += bytes;
                group.push((*part).clone());
            }
            _ => groups.push((bytes, vec![(*part).clone()])),
        }
    }
    let groups = groups.into_iter().map(|(_, group)| group);
    groups.filter(|group| group.len() > 1).collect()
}

/// Writes the rows of `group`, in order, into one file that takes the place of all. Files of the group that are still
/// hidden are new in the same change.
pub(crate) fn merge(change: &mut Change, group: &[PartFile]) -> Result<()> {
    let Some(section) = group.first().map(|part| part.section) else {
        return Ok(());
    };
    let Some(new) = change.write(section, group.iter().flat_map(rows))? else {
        return Ok(());
    };
    let mut fresh = true;
    for PartFile { path, .. } in group {
        let place = unstaged(path);
        if place == *path {
            change.replace(path, Some(&new));
            fresh = false;
        } else {
            change.take_back(&place)?;
        }
    }
    if fresh {
        change.add(&new);
    }
    Ok(())
}

fn rows(part: &PartFile) -> Box<dyn Iterator<Item = Result<RecordBatch>>> {
    match RowsReader::open(&part.path) {
        Ok(reader) => Box::new(reader.map(|rows| rows.map(|rows| rows.batch().clone()))),
        Err(error) => Box::new(std::iter::once(Err(error))),
    }
}
