//! Rows that go to disk and come back, and files that are not what they should be.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use driftline_core::{ErrorKind, Row, RowSchema, Rows, RowsBuilder};
use driftline_rows::{EventIds, Footer, IdFilter, RowsReader, RowsWriter, write, write_named};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn schema(dim: usize) -> RowSchema {
    RowSchema::new(dim, vec!["cat".to_owned(), "dog".to_owned()]).unwrap()
}

fn rows_with(dim: usize, n: usize, change: impl Fn(usize, &mut Vec<f32>)) -> RecordBatch {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut builder = RowsBuilder::new(schema(dim));
    for i in 0..n {
        let mut embedding: Vec<f32> = (0..dim).map(|_| random.random_range(-3.0..3.0)).collect();
        change(i, &mut embedding);
        builder
            .push(&Row {
                event_id: &format!("{}run-week-1-{i:08}", "long".repeat(40)),
                timestamp_ms: 1_793_491_200_000 + 1_000 * i as i64,
                embedding: &embedding,
                scores: &[0.25, 0.75],
                target: (i % 3 > 0).then_some("dog"),
                image_url: "a.png",
                image_number: i as i64,
                window: "week-1",
                properties: &[],
            })
            .unwrap();
    }
    builder.finish().unwrap()
}

fn rows(n: usize) -> RecordBatch {
    rows_with(16, n, |_, _| {})
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn read_all(path: &Path) -> driftline_core::Result<usize> {
    RowsReader::open(path)?
        .map(|rows| rows.map(|rows| rows.len()))
        .sum()
}

/// The same rows without the checksum, as another program would write them.
fn write_foreign(path: &Path, batch: &RecordBatch) {
    let file = fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

#[test]
fn what_is_written_is_read_back_in_batches() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let batch = rows(10_000);
    write(&path, &batch).unwrap();

    let reader = RowsReader::open(&path).unwrap();
    assert_eq!(reader.schema(), &schema(16));
    assert_eq!(reader.num_rows(), 10_000);
    let batches: Vec<Rows> = reader.map(Result::unwrap).collect();
    assert!(batches.len() > 1, "memory must not grow with the file");
    let mut at = 0;
    for part in &batches {
        assert_eq!(part.batch(), &batch.slice(at, part.len()));
        at += part.len();
    }
    assert_eq!(at, 10_000);
}

#[test]
fn equal_rows_give_equal_bytes_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (a, b) = (folder.path().join("a"), folder.path().join("b"));
    write(&a, &rows(3_000)).unwrap();
    let mut writer = RowsWriter::create(&b, &schema(16)).unwrap();
    writer.write(&rows(3_000)).unwrap();
    assert!(!b.exists(), "the file must not appear before it is whole");
    writer.finish().unwrap();
    assert_eq!(fs::read(&a).unwrap(), fs::read(&b).unwrap());
    assert_eq!(files_in(folder.path()).len(), 2);
}

#[test]
fn a_stream_of_batches_reads_like_one_batch() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let whole = rows(1_000);
    let mut writer = RowsWriter::create(&path, &schema(16)).unwrap();
    for start in (0..1_000).step_by(130) {
        writer
            .write(&whole.slice(start, 130.min(1_000 - start)))
            .unwrap();
    }
    writer.finish().unwrap();
    let read: Vec<Rows> = RowsReader::open(&path)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].batch(), &whole);
}

#[test]
fn a_writer_that_is_dropped_leaves_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    fs::write(&path, b"old").unwrap();
    let mut writer = RowsWriter::create(&path, &schema(16)).unwrap();
    writer.write(&rows(10)).unwrap();
    drop(writer);
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(files_in(folder.path()), ["a"]);
}

#[test]
fn no_rows_are_a_file_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    RowsWriter::create(&path, &schema(3))
        .unwrap()
        .finish()
        .unwrap();
    assert_eq!(read_all(&path).unwrap(), 0);
    let footer = Footer::read(&path).unwrap();
    assert_eq!((footer.rows, footer.schema), (0, schema(3)));
    assert!(!Footer::read(&path).unwrap().may_contain("x"));
}

#[test]
fn the_footer_knows_the_exact_ids_also_long_ones() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, &rows(500)).unwrap();
    let footer = Footer::read(&path).unwrap();
    let id = |i: usize| format!("{}run-week-1-{i:08}", "long".repeat(40));
    assert_eq!(footer.rows, 500);
    assert_eq!(
        footer.event_ids,
        Some((id(0).into_bytes(), id(499).into_bytes()))
    );
    assert!(footer.may_contain(&id(0)) && footer.may_contain(&id(499)));
    assert!(!footer.may_contain(&id(500)) && !footer.may_contain("a"));
    let ids: Vec<String> = EventIds::open(&path)
        .unwrap()
        .flat_map(|ids| {
            ids.unwrap()
                .iter()
                .map(|id| id.unwrap().to_owned())
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ids, (0..500).map(id).collect::<Vec<_>>());
}

#[test]
fn embeddings_are_plain_and_without_statistics() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    write(&path, &rows(100)).unwrap();
    let file = fs::File::open(&path).unwrap();
    let parquet = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let group = parquet.metadata().row_group(0);
    let column = |name: &str| {
        let found = group
            .columns()
            .iter()
            .find(|c| c.column_path().parts()[0] == name);
        found.unwrap().clone()
    };
    assert!(column("embeddings").statistics().is_none());
    assert!(column("embeddings").dictionary_page_offset().is_none());
    assert!(column("event_id").dictionary_page_offset().is_none());
    assert!(column("window").dictionary_page_offset().is_some());
    assert!(column("timestamp").statistics().is_some());
}

#[test]
fn a_name_can_be_made_from_the_digest_which_changes_with_any_byte() {
    let folder = tempfile::tempdir().unwrap();
    let name = |digest: &str| format!("{digest}.parquet");
    let one = write_named(folder.path(), &rows(50), name).unwrap();
    assert_eq!(write_named(folder.path(), &rows(50), name).unwrap(), one);
    let changed = rows_with(16, 50, |i, e| e[3] += if i == 20 { 1.0 } else { 0.0 });
    assert_ne!(write_named(folder.path(), &changed, name).unwrap(), one);
    assert_eq!(files_in(folder.path()).len(), 2);

    let digest = one.file_stem().unwrap().to_str().unwrap().to_owned();
    assert_eq!(digest.len(), 64);
    assert_eq!(Footer::read(&one).unwrap().digest, Some(digest.clone()));

    // Whatever byte is changed, one of the two checks sees it.
    let whole = fs::read(&one).unwrap();
    let path = folder.path().join("changed");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(&path, &bytes).unwrap();
        let seen = match Footer::read(&path) {
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidData, "byte {at}: {error}");
                true
            }
            Ok(footer) => {
                footer.digest.as_ref() != Some(&digest) || RowsReader::open(&path).is_err()
            }
        };
        assert!(seen, "byte {at} of {} went unseen", whole.len());
    }
}

#[test]
fn a_filter_knows_every_id_of_its_file_and_hardly_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = write_named(folder.path(), &rows(3_000), |_| "a.parquet".to_owned()).unwrap();
    let digest = Footer::read(&path).unwrap().digest;
    let filter = IdFilter::read(&path, digest.as_deref()).unwrap().unwrap();
    assert!(filter.bytes() <= 8 * 3_000, "{} bytes", filter.bytes());
    for batch in EventIds::peek(&path).unwrap() {
        assert!(
            batch
                .unwrap()
                .iter()
                .flatten()
                .all(|id| filter.may_contain(id))
        );
    }
    let others = (0..100_000).filter(|i| filter.may_contain(&format!("other-{i}")));
    assert!(others.count() < 20);
    assert!(IdFilter::read(&path, Some("another")).is_err());

    // Files that are no part of a store have none.
    let path = folder.path().join("b.parquet");
    write(&path, &rows(50)).unwrap();
    let digest = Footer::read(&path).unwrap().digest;
    assert!(IdFilter::read(&path, digest.as_deref()).unwrap().is_none());
}

#[test]
fn a_file_cut_anywhere_is_damaged_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.parquet");
    write(&path, &rows(40)).unwrap();
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        for error in [
            RowsReader::open(&path).unwrap_err(),
            EventIds::open(&path).unwrap_err(),
            Footer::read(&path).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{length}: {error}");
            assert!(error.to_string().contains("cut.parquet"), "{error}");
        }
    }
}

#[test]
fn files_of_other_writers_are_read_and_never_panic_when_garbled() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("foreign.parquet");
    let batch = rows(60);
    write_foreign(&path, &batch);
    assert_eq!(read_all(&path).unwrap(), 60);
    assert_eq!(Footer::read(&path).unwrap().digest, None);

    let whole = fs::read(&path).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..2_000 {
        let mut bytes = whole.clone();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
        fs::write(&path, &bytes).unwrap();
        let _ = Footer::read(&path);
        match read_all(&path) {
            Ok(_) => read += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
                assert!(error.to_string().contains("foreign.parquet"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(
        refused > 100 && read > 100,
        "{refused} refused, {read} read"
    );
}

#[test]
fn what_is_not_rows_is_named_with_file_and_column() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.parquet");
    let error_of = |path: &Path| RowsReader::open(path).unwrap_err();

    let column: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let other = Schema::new(vec![Field::new("label", DataType::Int64, false)]);
    let other = RecordBatch::try_new(Arc::new(other), vec![column]).unwrap();
    write_foreign(&path, &other);
    let text = error_of(&path).to_string();
    assert!(
        text.contains("no column `embeddings`") && text.contains("other.parquet"),
        "{text}"
    );
    let text = write(&path, &other).unwrap_err().to_string();
    assert!(
        text.contains("no column `embeddings`") && text.contains("other.parquet"),
        "{text}"
    );

    fs::write(&path, b"{\"not\": \"parquet\"}").unwrap();
    let text = error_of(&path).to_string();
    assert!(
        text.contains("not Parquet") && text.contains("make it again"),
        "{text}"
    );

    let missing = error_of(&folder.path().join("missing.parquet"));
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(
        error_of(folder.path())
            .to_string()
            .contains("could not read rows")
    );
}

#[test]
fn columns_in_another_order_and_extra_ones_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reordered.parquet");
    let batch = rows(5);
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    fields.reverse();
    columns.reverse();
    fields.insert(2, Arc::new(Field::new("note", DataType::Int64, true)));
    columns.insert(2, Arc::new(Int64Array::from(vec![None; 5])));
    // The reversed order also reverses the classes, which are the score columns in order.
    let batch_reversed = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    write_foreign(&path, &batch_reversed);
    let read: Vec<Rows> = RowsReader::open(&path)
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read[0].schema().classes, ["dog", "cat"]);
    assert_eq!(read[0].batch().schema(), read[0].schema().arrow());
    assert_eq!(read[0].embeddings(), Rows::new(batch).unwrap().embeddings());
}

#[test]
fn nan_is_refused_both_ways_and_the_row_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nan.parquet");
    let bad = rows_with(16, 9_000, |i, e| {
        if i == 8_765 {
            e[1] = f32::NAN;
        }
    });
    let text = write(&path, &bad).unwrap_err().to_string();
    assert!(
        text.contains("row: 8765") && text.contains("nan.parquet"),
        "{text}"
    );
    assert!(files_in(folder.path()).is_empty());

    write_foreign(&path, &bad);
    let mut reader = RowsReader::open(&path).unwrap();
    let error = reader.find_map(Result::err).unwrap();
    let text = error.to_string();
    assert!(
        text.contains("`embeddings`") && text.contains("row: 8765"),
        "{text}"
    );
    assert!(reader.next().is_none(), "nothing follows an error");
}

#[test]
fn another_dim_in_the_middle_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let mut writer = RowsWriter::create(&path, &schema(16)).unwrap();
    let error = writer.write(&rows_with(8, 1, |_, _| {})).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("have 8 values, the rows before have 16"),
        "{error}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_resource_error_that_names_the_file_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
        .arg(folder.path())
        .output();
    if !mount.is_ok_and(|output| output.status.success()) {
        println!("skipped: full disk, because this user may not mount a tmpfs");
        return;
    }
    let path = folder.path().join("full.parquet");
    let outcome = std::panic::catch_unwind(|| {
        let error = write(&path, &rows_with(128, 5_000, |_, _| {})).unwrap_err();
        (error.kind(), error.to_string(), files_in(folder.path()))
    });
    let umount = std::process::Command::new("umount")
        .arg(folder.path())
        .status();
    let (kind, text, left) = outcome.unwrap();
    assert_eq!(kind, ErrorKind::Resource, "{text}");
    assert!(
        text.contains("full.parquet") && text.contains("free some space"),
        "{text}"
    );
    assert!(left.is_empty(), "{left:?}");
    assert!(umount.unwrap().success());
}
