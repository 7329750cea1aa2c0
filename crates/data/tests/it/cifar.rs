//! CIFAR-10 in its published forms.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::common::{OPTIONS, check_order, name, open_error, read, read_from};
use driftline_core::{ErrorKind, Label};
use driftline_data::{Split, open, open_cifar10};
use flate2::Compression;
use flate2::write::GzEncoder;

const ROWS: [usize; 5] = [3, 1, 4, 2, 5];
const NAMES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// Planar pixels of row `row` of batch `batch`.
fn planes(batch: usize, row: usize) -> Vec<u8> {
    (0..3072)
        .map(|i| ((i * 3 + batch * 17 + row * 5) % 256) as u8)
        .collect()
}

fn label(batch: usize, row: usize) -> u8 {
    ((batch * 3 + row) % 10) as u8
}

fn binary(batch: usize, rows: usize) -> Vec<u8> {
    let row = |row| [vec![label(batch, row)], planes(batch, row)].concat();
    (0..rows).flat_map(row).collect()
}

#[derive(Clone, Copy)]
enum Writer {
    /// As published: byte strings, names of `numpy.core`.
    Python2,
    /// As Python 3 writes protocol 2: bytes as Latin-1 text that is encoded on loading.
    Python3,
}

fn text(text: &str) -> Vec<u8> {
    [
        b"X",
        &(text.len() as u32).to_le_bytes()[..],
        text.as_bytes(),
    ]
    .concat()
}

fn byte_string(bytes: &[u8], writer: Writer) -> Vec<u8> {
    match writer {
        Writer::Python2 => [b"T", &(bytes.len() as u32).to_le_bytes()[..], bytes].concat(),
        Writer::Python3 => {
            let latin1: String = bytes.iter().copied().map(char::from).collect();
            let call = [
                &b"c_codecs\nencode\n"[..],
                &text(&latin1),
                &text("latin1"),
                b"\x86R",
            ];
            call.concat()
        }
    }
}

fn int(value: usize) -> Vec<u8> {
    [b"J", &(value as u32).to_le_bytes()[..]].concat()
}

fn python(batch: usize, rows: usize, writer: Writer, fortran: bool) -> Vec<u8> {
    let key = |key: &str| byte_string(key.as_bytes(), writer);
    let rows_of_pixels: Vec<Vec<u8>> = (0..rows).map(|row| planes(batch, row)).collect();
    let data = if fortran {
        (0..3072)
            .flat_map(|i| rows_of_pixels.iter().map(move |row| row[i]))
            .collect()
    } else {
        rows_of_pixels.concat()
    };
    let module = match writer {
        Writer::Python2 => "numpy.core.multiarray",
        Writer::Python3 => "numpy._core.multiarray",
    };
    let labels: Vec<u8> = (0..rows)
        .flat_map(|row| int(label(batch, row).into()))
        .collect();
    [
        &b"\x80\x02}("[..],
        &key("batch_label"),
        &key("a batch"),
        &key("labels"),
        b"](",
        &labels,
        b"e",
        &key("data"),
        format!("c{module}\n_reconstruct\ncnumpy\nndarray\n").as_bytes(),
        b"K\0\x85",
        &key("b"),
        b"\x87R(K\x01",
        &int(rows),
        &int(3072),
        b"\x86cnumpy\ndtype\n",
        &text("u1"),
        b"K\0K\x01\x87R(K\x03",
        &text("|"),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb",
        if fortran { b"\x88" } else { b"\x89" },
        &byte_string(&data, writer),
        b"tbu.",
    ]
    .concat()
}

fn python_names(writer: Writer) -> Vec<u8> {
    let key = |key: &str| byte_string(key.as_bytes(), writer);
    let names: Vec<u8> = NAMES.iter().flat_map(|name| key(name)).collect();
    [
        &b"\x80\x02}"[..],
        &key("label_names"),
        b"](",
        &names,
        b"es.",
    ]
    .concat()
}

fn files(make: impl Fn(usize, usize) -> Vec<u8>, suffix: &str) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = ROWS
        .iter()
        .enumerate()
        .map(|(i, &rows)| (format!("data_batch_{}{suffix}", i + 1), make(i + 1, rows)))
        .collect();
    files.push((format!("test_batch{suffix}"), make(0, 2)));
    files
}

fn binary_files() -> Vec<(String, Vec<u8>)> {
    let mut files = files(binary, ".bin");
    files.push((
        "batches.meta.txt".to_owned(),
        (NAMES.join("\n") + "\n\n").into_bytes(),
    ));
    files
}

fn python_files(writer: Writer, fortran: bool) -> Vec<(String, Vec<u8>)> {
    let mut files = files(|batch, rows| python(batch, rows, writer, fortran), "");
    files.push(("batches.meta".to_owned(), python_names(writer)));
    files
}

fn folder(dir: &Path, files: &[(String, Vec<u8>)]) -> PathBuf {
    let folder = dir.join("batches");
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in files {
        fs::write(folder.join(name), bytes).unwrap();
    }
    folder
}

/// The published archives hold the batches in another order than that of their numbers.
fn archive(dir: &Path, files: &[(String, Vec<u8>)]) -> PathBuf {
    let path = dir.join("cifar-10.tar.gz");
    let gz = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    let mut tar = tar::Builder::new(gz);
    for (name, bytes) in files.iter().rev() {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("batches/{name}"), bytes.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap();
    path
}

/// A batch of the python form, as published.
pub(crate) fn python_2(rows: usize) -> Vec<u8> {
    python(1, rows, Writer::Python2, false)
}

/// An archive of one file.
pub(crate) fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = archive(dir.path(), &[(name.to_owned(), bytes.to_vec())]);
    fs::read(path).unwrap()
}

fn check_train(path: &Path, suffix: &str) {
    let (seen, skipped) = read(path).unwrap();
    assert_eq!(skipped, []);
    let expected = ROWS
        .iter()
        .enumerate()
        .flat_map(|(i, &rows)| (0..rows).map(move |row| (i + 1, row)));
    assert_eq!(seen.len(), ROWS.iter().sum::<usize>());
    for (seen, (batch, row)) in seen.iter().zip(expected) {
        assert_eq!(seen.url, format!("data_batch_{batch}{suffix}#{row}"));
        assert_eq!(seen.label, name(NAMES[usize::from(label(batch, row))]));
        let planes = planes(batch, row);
        for (i, pixel) in seen.pixels.chunks(3).enumerate() {
            assert_eq!(pixel, [planes[i], planes[1024 + i], planes[2048 + i]]);
        }
    }
}

#[test]
fn every_form_gives_the_same_rows() {
    for (files, suffix) in [
        (binary_files(), ".bin"),
        (python_files(Writer::Python2, false), ""),
        (python_files(Writer::Python3, false), ""),
        (python_files(Writer::Python2, true), ""),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (folder, archive) = (folder(dir.path(), &files), archive(dir.path(), &files));
        check_train(&folder, suffix);
        check_train(&archive, suffix);
        let fingerprint =
            |location: &str| open(location, &OPTIONS).unwrap().info().fingerprint.clone();
        let (folder, archive) = (folder.to_str().unwrap(), archive.to_str().unwrap());
        assert_eq!(fingerprint(folder), fingerprint(archive));
        assert_ne!(fingerprint(folder), fingerprint(&format!("{folder}#test")));
        check_order(folder);
        check_order(archive);
    }
}

#[test]
fn the_split_is_picked_by_suffix_or_argument() {
    let dir = tempfile::tempdir().unwrap();
    let folder = folder(dir.path(), &binary_files());
    let location = folder.to_str().unwrap();
    for (suffix, rows) in [("", 15), ("#train", 15), ("#test", 2)] {
        let source = open(&format!("{location}{suffix}"), &OPTIONS).unwrap();
        assert_eq!(source.info().rows, rows, "{suffix}");
        assert_eq!(source.info().location, format!("{location}{suffix}"));
    }
    let test = open_cifar10(&folder, Split::Test, &OPTIONS).unwrap();
    assert_eq!(test.info().rows, 2);
}

#[test]
fn without_names_labels_are_indices_and_with_them_they_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let mut test = binary(0, 2);
    test[0] = 200;
    let mut files = vec![("test_batch.bin".to_owned(), test)];
    let location = format!("{}#test", folder(dir.path(), &files).display());
    let (seen, _) = read_from(&location, &OPTIONS, 0, 7).unwrap();
    assert_eq!(seen[0].label, Some(Label::Index(200)));
    files.push(("batches.meta.txt".to_owned(), NAMES.join("\n").into_bytes()));
    folder(dir.path(), &files);
    let (seen, skipped) = read_from(&location, &OPTIONS, 0, 7).unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(skipped[0].reason, "label 200 is past the 10 classes");
}

#[test]
fn damaged_batches_are_named() {
    let check = |files: &[(&str, Vec<u8>)], expected: &[&str]| {
        let dir = tempfile::tempdir().unwrap();
        let files: Vec<_> = files
            .iter()
            .map(|(n, b)| ((*n).to_owned(), b.clone()))
            .collect();
        for place in [folder(dir.path(), &files), archive(dir.path(), &files)] {
            let error = open_error(&format!("{}#test", place.display()));
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let error = error.to_string();
            for expected in expected {
                assert!(error.contains(expected), "{expected}: {error}");
            }
        }
    };
    let long = [binary(0, 1), vec![0]].concat();
    check(
        &[("test_batch.bin", long)],
        &["3074 bytes", "rows of 3073", "batch: test_batch.bin"],
    );
    check(
        &[("test_batch", b"cos\nsystem\n(S'true'\ntR.".to_vec())],
        &["`os.system`", "test_batch"],
    );
    check(
        &[("test_batch", b"\x80\x02}.".to_vec())],
        &["has no `labels`"],
    );
    let mut short = python(0, 2, Writer::Python2, false);
    let at = short
        .windows(5)
        .position(|w| w == [b'J', 2, 0, 0, 0])
        .unwrap();
    short[at + 1] = 3;
    check(
        &[("test_batch", short)],
        &["`data` is not an array of 2 x 3072"],
    );
    let mut cut = python(0, 2, Writer::Python2, false);
    cut.truncate(4000);
    check(&[("test_batch", cut)], &["the pickle ends early"]);
}

#[test]
fn a_missing_batch_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = binary_files();
    files.retain(|(name, _)| name != "data_batch_3.bin");
    let location = folder(dir.path(), &files).display().to_string();
    let error = open_error(&location).to_string();
    assert!(
        error.contains("is missing") && error.contains("data_batch_3.bin"),
        "{error}"
    );
    let archive = archive(dir.path(), &[("a.txt".to_owned(), Vec::new())]);
    let error = open_error(archive.to_str().unwrap()).to_string();
    assert!(error.contains("no CIFAR-10 train batches"), "{error}");
}

#[test]
fn an_archive_that_is_cut_anywhere_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = archive(dir.path(), &binary_files());
    let whole = fs::read(&path).unwrap();
    for end in [0, 5, 100, whole.len() / 2, whole.len() - 4, whole.len() - 1] {
        fs::write(&path, &whole[..end]).unwrap();
        let error = open_error(path.to_str().unwrap());
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{end}");
        let error = error.to_string();
        assert!(
            error.contains("damaged or ends early") && error.contains("download"),
            "{error}"
        );
        assert!(error.contains("cifar-10.tar.gz"), "{error}");
    }
}
