//! Commits that fail, and outboxes of earlier versions.

use std::fs;
use std::path::Path;

use driftline_core::{Ack, Result, Row, RowSchema, Rows, RowsBuilder};

use super::place::SEGMENTS;
use super::{Outbox, quarantine};
use crate::batch::Kind;

fn rows(ids: &[&str]) -> Rows {
    let schema = RowSchema::new(2, vec!["cat".to_owned(), "dog".to_owned()]).unwrap();
    let mut builder = RowsBuilder::new(schema);
    for id in ids {
        let row = Row {
            event_id: id,
            timestamp_ms: 1_793_491_200_000,
            embedding: &[0.5, 1.0],
            scores: &[0.5, 0.5],
            target: None,
            image_url: "a.png",
            image_number: 1,
            window: "week-1",
            properties: &[],
        };
        builder.push(&row).unwrap();
    }
    driftline_rows::check(&builder.finish().unwrap()).unwrap()
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder.join(SEGMENTS)).unwrap().count()
}

fn accept(outbox: &mut Outbox, ids: &[&str]) -> Result<Ack> {
    outbox.accept(Kind::Events, &rows(ids), 10)
}

#[test]
fn a_commit_that_fails_and_lasts_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(folder.path()).unwrap();
    let failing = |_: &mut rusqlite::hooks::Wal, _| Err(rusqlite::Error::InvalidQuery);
    outbox.db.connection().wal_hook(Some(failing)).unwrap();
    accept(&mut outbox, &["a", "b"]).unwrap_err();
    assert_eq!(files(folder.path()), 1);
    // Whoever tries again is told that they are there.
    outbox
        .db
        .connection()
        .wal_hook(None::<fn(&mut rusqlite::hooks::Wal, i32) -> rusqlite::Result<()>>)
        .unwrap();
    assert_eq!(accept(&mut outbox, &["a", "b"]).unwrap().duplicates, 2);
    drop(outbox);
    let outbox = Outbox::open(folder.path()).unwrap();
    assert_eq!(outbox.queued().unwrap(), 2);
    let segments = outbox.segments().unwrap();
    assert!(
        segments
            .iter()
            .all(|(_, segment)| quarantine::fault(segment).is_none())
    );
}

#[test]
fn a_commit_that_fails_and_is_undone_leaves_nothing_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(folder.path()).unwrap();
    outbox.db.connection().commit_hook(Some(|| true)).unwrap();
    accept(&mut outbox, &["a", "b"]).unwrap_err();
    // Nothing can be written that would make it certain, so the file stays.
    assert_eq!(files(folder.path()), 1);
    assert_eq!(outbox.queued().unwrap(), 0);
    outbox
        .db
        .connection()
        .commit_hook(None::<fn() -> bool>)
        .unwrap();
    assert_eq!(accept(&mut outbox, &["a", "b", "c"]).unwrap().accepted, 3);
    assert_eq!(files(folder.path()), 1);
    assert_eq!(outbox.queued().unwrap(), 3);
}

#[test]
fn an_outbox_of_an_earlier_version_learns_which_segment_brought_an_id() {
    let folder = tempfile::tempdir().unwrap();
    let mut outbox = Outbox::open(folder.path()).unwrap();
    accept(&mut outbox, &["a", "b"]).unwrap();
    let earlier = "ALTER TABLE known DROP COLUMN segment; ALTER TABLE batches DROP COLUMN tries;
        ALTER TABLE batches DROP COLUMN next_try; ALTER TABLE batches DROP COLUMN error;
        ALTER TABLE segments DROP COLUMN place; DELETE FROM facts;";
    outbox.db.connection().execute_batch(earlier).unwrap();
    drop(outbox);

    let mut outbox = Outbox::open(folder.path()).unwrap();
    let (kind, segment) = outbox.segments().unwrap().pop().unwrap();
    fs::write(segment.file.as_ref().unwrap(), b"damaged").unwrap();
    let error = quarantine::fault(&segment).unwrap();
    outbox.set_aside(kind, &segment, &error).unwrap();
    assert_eq!(accept(&mut outbox, &["a", "b"]).unwrap().accepted, 2);
}
