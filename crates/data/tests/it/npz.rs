//! NumPy archives.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::common::{check_order, open_error, pixels, read};
use driftline_core::{ErrorKind, Label};
use driftline_data::Album;
use npyz::WriterBuilder;
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

fn npy<T: npyz::AutoSerialize + Copy>(shape: &[u64], values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
    writer.extend(values.iter().copied()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn npz(dir: &Path, method: CompressionMethod, arrays: &[(&str, Vec<u8>)]) -> PathBuf {
    let path = dir.join("data.npz");
    let mut zip = zip::ZipWriter::new(File::create(&path).unwrap());
    for (name, bytes) in arrays {
        let options = SimpleFileOptions::default().compression_method(method);
        zip.start_file(format!("{name}.npy"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap();
    path
}

fn images(rows: usize) -> Vec<u8> {
    (0..rows).flat_map(|row| pixels(32, 32, row)).collect()
}

#[test]
fn images_and_labels_are_read_stored_and_deflated() {
    let dir = tempfile::tempdir().unwrap();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let labels: Vec<i64> = (0..20).map(|row| row % 7).collect();
        let arrays = [
            ("arr_0", npy(&[20, 32, 32, 3], &images(20))),
            ("arr_1", npy(&[20], &labels)),
        ];
        let path = npz(dir.path(), method, &arrays);
        let (seen, skipped) = read(&path).unwrap();
        assert_eq!((seen.len(), skipped.len()), (20, 0));
        for (row, seen) in seen.iter().enumerate() {
            assert_eq!(seen.pixels, pixels(32, 32, row));
            assert_eq!(seen.label, Some(Label::Index(row as u64 % 7)));
            assert_eq!(seen.url, format!("data.npz#{row}"));
        }
        check_order(path.to_str().unwrap());
    }
}

#[test]
fn grey_images_other_sizes_and_other_integers_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let method = CompressionMethod::Deflated;
    for shape in [&[2, 32, 32][..], &[2, 32, 32, 1]] {
        let grey = npy(shape, &[5_u8; 2048]);
        let path = npz(
            dir.path(),
            method,
            &[("arr_0", grey), ("arr_1", npy(&[2, 1], &[3_u8, 9]))],
        );
        let (seen, _) = read(&path).unwrap();
        assert_eq!(seen[1].pixels, vec![5; 3072]);
        assert_eq!(seen[1].label, Some(Label::Index(9)));
    }
    let wide = npy(&[1, 8, 16, 3], &[77_u8; 384]);
    let (seen, _) = read(&npz(dir.path(), method, &[("arr_0", wide)])).unwrap();
    assert_eq!(
        (seen[0].label.clone(), &seen[0].pixels),
        (None, &vec![77; 3072])
    );
    let none = npy::<u8>(&[0, 32, 32, 3], &[]);
    let (seen, _) = read(&npz(dir.path(), method, &[("arr_0", none)])).unwrap();
    assert!(seen.is_empty());
}

#[test]
fn a_negative_label_is_a_skipped_row() {
    let dir = tempfile::tempdir().unwrap();
    let arrays = [
        ("arr_0", npy(&[2, 32, 32, 3], &images(2))),
        ("arr_1", npy(&[2], &[-3_i32, 1])),
    ];
    let (seen, skipped) = read(&npz(dir.path(), CompressionMethod::Stored, &arrays)).unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(skipped[0].reason, "label -3 is negative");
}

#[test]
fn arrays_of_another_kind_say_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let good = npy(&[2, 32, 32, 3], &images(2));
    let mut lying = good.clone();
    let at = lying.windows(2).position(|w| w == b"(2").unwrap();
    lying[at + 1] = b'9';
    for (arrays, expected) in [
        (vec![], "it has no `arr_0`"),
        (vec![("arr_0", npy(&[1, 2, 2, 3], &[0.5_f32; 12]))], "'<f4'"),
        (vec![("arr_0", npy(&[4], &[1_u8; 4]))], "of shape [4]"),
        (
            vec![("arr_0", npy(&[1, 2, 2, 4], &[1_u8; 16]))],
            "of shape [1, 2, 2, 4]",
        ),
        (
            vec![("arr_0", npy::<u8>(&[3, 0, 2, 3], &[]))],
            "of shape [3, 0, 2, 3]",
        ),
        (vec![("arr_0", lying)], "does not agree with its shape"),
        (
            vec![("arr_0", good.clone()), ("arr_1", npy(&[2], &[0.5_f64; 2]))],
            "labels are integers",
        ),
        (
            vec![("arr_0", good.clone()), ("arr_1", npy(&[3], &[1_i64; 3]))],
            "of shape [3]",
        ),
        (vec![("arr_0", b"no array".to_vec())], "damaged"),
    ] {
        let path = npz(dir.path(), CompressionMethod::Deflated, &arrays);
        let error = open_error(path.to_str().unwrap());
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let error = error.to_string();
        assert!(
            error.contains(expected) && error.contains("data.npz"),
            "{expected}: {error}"
        );
    }
}

#[test]
fn a_damaged_file_is_refused_before_the_first_row() {
    let dir = tempfile::tempdir().unwrap();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let path = npz(
            dir.path(),
            method,
            &[("arr_0", npy(&[4, 32, 32, 3], &images(4)))],
        );
        let whole = fs::read(&path).unwrap();
        for end in [0, 10, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..end]).unwrap();
            let error = open_error(path.to_str().unwrap()).to_string();
            assert!(error.contains("damaged or ends early"), "{end}: {error}");
        }
        let mut changed = whole.clone();
        changed[whole.len() / 2] ^= 1;
        fs::write(&path, &changed).unwrap();
        let error = open_error(path.to_str().unwrap()).to_string();
        assert!(error.contains("damaged or ends early"), "{error}");
    }
}

#[test]
fn an_album_leads_from_a_url_to_its_image() {
    let dir = tempfile::tempdir().unwrap();
    let path = npz(
        dir.path(),
        CompressionMethod::Deflated,
        &[("arr_0", npy(&[5, 32, 32, 3], &images(5)))],
    );
    let name = path.file_name().unwrap().to_str().unwrap();
    for album in [
        Album::open(dir.path()).unwrap(),
        Album::open(&path).unwrap(),
    ] {
        let picture = album.picture(&format!("{name}#3")).unwrap().unwrap();
        assert_eq!(picture.pixels, images(5)[3 * 3072..4 * 3072]);
        for wrong in ["#5", "#-1", "#x", ""] {
            let url = format!("{name}{wrong}");
            assert_eq!(album.picture(&url).unwrap(), None, "{url}");
        }
        assert!(!album.knows("other.npz#3"));
    }
}
