//! Parquet in the Hugging Face image layout.

use std::fs::{self, File};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{OPTIONS, check_order, name, open_error, pixels, read};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BinaryArray, DictionaryArray, Float64Array, Int64Array, RecordBatch,
    StringArray, StructArray, UInt8Array,
};
use arrow_schema::{DataType, Field, Fields, Schema};
use driftline_core::{ErrorKind, Label};
use driftline_data::open;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

fn png(seed: usize) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let image = image::RgbImage::from_raw(32, 32, pixels(32, 32, seed)).unwrap();
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

/// `struct<bytes, path>` of PNG images; row 3 has bytes that are no image, row 5 no bytes, row 6 no path.
fn images(rows: usize) -> ArrayRef {
    let bytes = (0..rows).map(|row| match row {
        3 => Some(b"not an image".to_vec()),
        5 => None,
        row => Some(png(row)),
    });
    let bytes: BinaryArray = bytes.collect();
    let path = (0..rows).map(|row| (row != 6).then(|| format!("images/{row}.png")));
    let path: StringArray = path.collect();
    let fields = Fields::from(vec![
        Field::new("bytes", DataType::Binary, true),
        Field::new("path", DataType::Utf8, true),
    ]);
    Arc::new(StructArray::new(
        fields,
        vec![Arc::new(bytes), Arc::new(path)],
        None,
    ))
}

/// Row groups of 8 rows.
fn write(path: &Path, columns: Vec<(&str, ArrayRef)>, names: Option<&str>) {
    let fields: Vec<_> = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true))
        .collect();
    let mut schema = Schema::new(fields);
    if let Some(names) = names {
        schema
            .metadata
            .insert("huggingface".to_owned(), names.to_owned());
    }
    let schema = Arc::new(schema);
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(8))
        .build();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), schema, Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn ints(values: impl IntoIterator<Item = i64>) -> ArrayRef {
    Arc::new(values.into_iter().collect::<Int64Array>())
}

fn file(dir: &Path) -> PathBuf {
    dir.join("data.parquet")
}

#[test]
fn images_labels_and_paths_are_read_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let columns = vec![
        ("label", ints((0..40).map(|row| row % 10))),
        ("img", images(40)),
    ];
    write(&path, columns, None);
    let (seen, skipped) = read(&path).unwrap();
    assert_eq!((seen.len(), skipped.len()), (38, 2));
    for seen in &seen {
        let row = seen.row as usize;
        assert_eq!(seen.pixels, pixels(32, 32, row));
        assert_eq!(seen.label, Some(Label::Index(seen.row % 10)));
        let path = format!("images/{row}.png");
        assert_eq!(seen.url, if row == 6 { "data.parquet#6" } else { &path });
    }
    assert_eq!(
        (skipped[0].row, skipped[0].url.as_str()),
        (3, "images/3.png")
    );
    assert_eq!(skipped[0].reason, "not a JPEG, PNG or WebP image");
    assert_eq!(
        (skipped[1].row, skipped[1].reason.as_str()),
        (5, "the image is null: it has no bytes")
    );
    check_order(path.to_str().unwrap());
}

#[test]
fn names_come_from_the_metadata_or_from_text() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let metadata =
        r#"{"info":{"features":{"label":{"names":["cat","dog"],"_type":"ClassLabel"}}}}"#;
    let small: UInt8Array = vec![Some(1), None, Some(2)].into();
    write(
        &path,
        vec![("image", images(3)), ("label", Arc::new(small))],
        Some(metadata),
    );
    let (seen, skipped) = read(&path).unwrap();
    assert_eq!((&seen[0].label, &seen[1].label), (&name("dog"), &None));
    assert_eq!(skipped[0].reason, "label 2 is past the 2 classes");

    let words: StringArray = vec![Some("owl"), None].into();
    write(
        &path,
        vec![("image", images(2)), ("labels", Arc::new(words))],
        None,
    );
    let (seen, _) = read(&path).unwrap();
    assert_eq!((&seen[0].label, &seen[1].label), (&name("owl"), &None));

    let words: DictionaryArray<Int32Type> =
        vec![Some("fox"), None, Some("fox")].into_iter().collect();
    write(
        &path,
        vec![("image", images(3)), ("label", Arc::new(words))],
        None,
    );
    let (seen, _) = read(&path).unwrap();
    assert_eq!(
        (&seen[0].label, &seen[1].label, &seen[2].label),
        (&name("fox"), &None, &name("fox"))
    );
}

#[test]
fn plain_binary_missing_labels_and_unknown_labels_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let bytes: BinaryArray = vec![Some(png(0)), None].into_iter().collect();
    write(&path, vec![("img", Arc::new(bytes))], None);
    let (seen, skipped) = read(&path).unwrap();
    assert_eq!(
        (seen[0].url.as_str(), &seen[0].label),
        ("data.parquet#0", &None)
    );
    assert_eq!(skipped[0].reason, "the image is null");
    write(
        &path,
        vec![("img", images(2)), ("label", ints([-1, -2]))],
        None,
    );
    let (seen, skipped) = read(&path).unwrap();
    assert_eq!(seen[0].label, None);
    assert_eq!(skipped[0].reason, "label -2 is negative");
    write(&path, vec![("img", images(0)), ("label", ints([]))], None);
    assert!(read(&path).unwrap().0.is_empty());
}

#[test]
fn a_folder_of_shards_is_one_source() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, rows: usize, label: i64| {
        let labels = ints(std::iter::repeat_n(label, rows));
        write(
            &dir.path().join(name),
            vec![("img", images(rows)), ("label", labels)],
            None,
        );
    };
    write("train-00001.parquet", 20, 1);
    write("train-00000.parquet", 3, 0);
    let location = dir.path().to_str().unwrap();
    let source = open(location, &OPTIONS).unwrap();
    assert_eq!(source.info().rows, 23);
    let (seen, _) = read(dir.path()).unwrap();
    let labels: Vec<_> = seen.iter().take(4).map(|seen| seen.label.clone()).collect();
    assert_eq!(labels, [0, 0, 0, 1].map(|label| Some(Label::Index(label))));
    check_order(location);
}

#[test]
fn a_file_of_another_layout_lists_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.5]));
    for (columns, expected) in [
        (vec![("x", ints([1]))], "there is no image column"),
        (vec![("img", ints([1]))], "`img` does not hold images"),
        (
            vec![("img", images(1)), ("label", floats)],
            "`label` does not hold labels",
        ),
    ] {
        write(&path, columns, None);
        let error = open_error(path.to_str().unwrap());
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let error = error.to_string();
        assert!(
            error.contains(expected) && error.contains("columns: "),
            "{error}"
        );
    }
}

#[test]
fn a_damaged_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    write(
        &path,
        vec![("img", images(20)), ("label", ints(0..20))],
        None,
    );
    let whole = fs::read(&path).unwrap();
    for end in [0, 3, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..end]).unwrap();
        let error = open_error(path.to_str().unwrap()).to_string();
        assert!(
            error.contains("damaged or ends early") && error.contains("data.parquet"),
            "{error}"
        );
    }
    // Pages that are gone while the footer is there.
    let mut hollow = whole.clone();
    let footer = whole.len()
        - 8
        - u32::from_le_bytes(whole[whole.len() - 8..][..4].try_into().unwrap()) as usize;
    hollow[4..footer].fill(0xff);
    fs::write(&path, &hollow).unwrap();
    let error = open_error(path.to_str().unwrap()).to_string();
    assert!(
        error.contains("damaged or ends early") && error.contains("data.parquet"),
        "{error}"
    );
}

#[test]
fn a_changed_byte_is_an_error_or_a_skipped_image_and_never_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path());
    write(&path, vec![("img", images(4)), ("label", ints(0..4))], None);
    let whole = fs::read(&path).unwrap();
    // The image bytes are most of the file; what is around them is where a reader can go wrong.
    let interesting = (0..whole.len()).filter(|at| at % 97 == 0 || at + 1500 > whole.len());
    for at in interesting {
        let mut changed = whole.clone();
        changed[at] ^= 0x55;
        fs::write(&path, &changed).unwrap();
        let result = std::panic::catch_unwind(|| read(&path).map(|_| ()));
        assert!(result.is_ok(), "byte {at}");
    }
}
