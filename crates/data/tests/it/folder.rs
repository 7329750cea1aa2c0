//! Folders of images.

use std::fs;
use std::path::Path;

use crate::common::{OPTIONS, check_order, name, open_error, pixels, read, read_from};
use driftline_core::{ErrorKind, ImageShape, Label, Resize};
use driftline_data::{DecodeOptions, SAMPLE_TEST_ROWS, SAMPLE_TRAIN_ROWS, open};
use image::ColorType;

fn save(path: &Path, bytes: &[u8], width: u32, height: u32, color: ColorType) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image::save_buffer(path, bytes, width, height, color).unwrap();
}

fn png(path: &Path, seed: usize) {
    save(path, &pixels(32, 32, seed), 32, 32, ColorType::Rgb8);
}

#[test]
fn class_folders_give_names_in_the_order_of_paths() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("images");
    png(&root.join("dog/b.png"), 2);
    png(&root.join("cat/z.PNG"), 1);
    png(&root.join("cat/deep/a.png"), 0);
    fs::write(root.join("cat/notes.txt"), "no image").unwrap();
    png(&root.join("cat/.hidden.png"), 9);
    png(&root.join(".thumbs/a.png"), 9);
    let (seen, skipped) = read(&root).unwrap();
    assert!(skipped.is_empty());
    let urls: Vec<_> = seen.iter().map(|s| s.url.as_str()).collect();
    assert_eq!(urls, ["cat/deep/a.png", "cat/z.PNG", "dog/b.png"]);
    let labels: Vec<_> = seen.iter().map(|s| s.label.clone()).collect();
    assert_eq!(labels, [name("cat"), name("cat"), name("dog")]);
    for (seed, seen) in seen.iter().enumerate() {
        assert_eq!(seen.row, seed as u64);
        assert_eq!(seen.pixels, pixels(32, 32, seed));
    }
}

#[test]
fn folders_named_by_numbers_give_indices() {
    let dir = tempfile::tempdir().unwrap();
    png(&dir.path().join("10/a.png"), 0);
    png(&dir.path().join("3/a.png"), 0);
    let (seen, _) = read(dir.path()).unwrap();
    let labels: Vec<_> = seen.into_iter().map(|s| s.label).collect();
    assert_eq!(labels, [Some(Label::Index(10)), Some(Label::Index(3))]);
}

#[test]
fn a_flat_folder_has_no_labels_and_one_order() {
    let dir = tempfile::tempdir().unwrap();
    for i in 0..20 {
        png(&dir.path().join(format!("{i:02}.png")), i);
    }
    fs::write(dir.path().join("05.jpg"), b"this is text").unwrap();
    let (seen, skipped) = read(dir.path()).unwrap();
    assert!(seen.iter().all(|s| s.label.is_none()));
    assert_eq!((seen.len(), skipped.len()), (20, 1));
    assert_eq!((skipped[0].row, skipped[0].url.as_str()), (5, "05.jpg"));
    assert_eq!(skipped[0].reason, "not a JPEG, PNG or WebP image");
    check_order(dir.path().to_str().unwrap());
}

#[test]
fn every_kind_of_pixel_becomes_rgb() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let n = 32 * 32;
    let repeat = |pixel: &[u8]| pixel.repeat(n);
    save(
        &root.join("a-grey.png"),
        &repeat(&[90]),
        32,
        32,
        ColorType::L8,
    );
    save(
        &root.join("b-grey-alpha.png"),
        &repeat(&[90, 0]),
        32,
        32,
        ColorType::La8,
    );
    save(
        &root.join("c-rgba.png"),
        &repeat(&[10, 20, 30, 0]),
        32,
        32,
        ColorType::Rgba8,
    );
    // 16 bits in the order of this machine; 0x8080 is the 8-bit 0x80.
    save(
        &root.join("d-rgb16.png"),
        &repeat(&[0x80; 6]),
        32,
        32,
        ColorType::Rgb16,
    );
    save(
        &root.join("e-grey16.png"),
        &repeat(&[0x40; 2]),
        32,
        32,
        ColorType::L16,
    );
    save(
        &root.join("f-rgb.webp"),
        &repeat(&[1, 2, 3]),
        32,
        32,
        ColorType::Rgb8,
    );
    save(
        &root.join("g-grey.jpeg"),
        &repeat(&[100]),
        32,
        32,
        ColorType::L8,
    );
    let (seen, skipped) = read(root).unwrap();
    assert_eq!(skipped, []);
    let expected: [[u8; 3]; 7] = [
        [90; 3],
        [90; 3],
        [10, 20, 30],
        [0x80; 3],
        [0x40; 3],
        [1, 2, 3],
        [100; 3],
    ];
    for (seen, expected) in seen.iter().zip(expected) {
        assert_eq!(seen.pixels, repeat(&expected), "{}", seen.url);
    }
}

#[test]
fn damaged_images_are_skipped_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    png(&root.join("a.png"), 0);
    let whole = fs::read(root.join("a.png")).unwrap();
    fs::write(root.join("b-cut.png"), &whole[..whole.len() / 2]).unwrap();
    save(
        &root.join("c.jpg"),
        &pixels(32, 32, 1),
        32,
        32,
        ColorType::Rgb8,
    );
    let whole = fs::read(root.join("c.jpg")).unwrap();
    fs::write(root.join("d-cut.jpg"), &whole[..whole.len() - 2]).unwrap();
    fs::write(root.join("e-cut.jpg"), &whole[..20]).unwrap();
    fs::write(root.join("f-empty.jpg"), b"").unwrap();
    fs::write(
        root.join("g-gif.png"),
        b"GIF89a\x01\x00\x01\x00\x00\x00\x00;",
    )
    .unwrap();
    // A PNG header that claims 2^30 x 2^30 pixels.
    let mut huge = fs::read(root.join("a.png")).unwrap();
    huge[16..24].copy_from_slice(&[0x40, 0, 0, 0, 0x40, 0, 0, 0]);
    let crc = {
        let mut crc = flate2::Crc::new();
        crc.update(&huge[12..29]);
        crc.sum().to_be_bytes()
    };
    huge[29..33].copy_from_slice(&crc);
    fs::write(root.join("h-huge.png"), huge).unwrap();
    let (seen, skipped) = read(root).unwrap();
    let urls: Vec<_> = seen.iter().map(|s| s.url.as_str()).collect();
    assert_eq!(urls, ["a.png", "c.jpg"]);
    let expected = [
        ("b-cut.png", "the image is broken"),
        ("d-cut.jpg", "the JPEG ends early"),
        ("e-cut.jpg", "the JPEG ends early"),
        ("f-empty.jpg", "the image is empty"),
        ("g-gif.png", "not a JPEG, PNG or WebP image"),
        ("h-huge.png", "the image is too large"),
    ];
    for (skipped, (url, reason)) in skipped.iter().zip(expected) {
        assert_eq!(skipped.url, url);
        assert!(skipped.reason.contains(reason), "{url}: {}", skipped.reason);
    }
    assert_eq!(skipped.len(), expected.len());
}

#[test]
fn a_batch_of_nothing_but_damaged_images_has_no_image() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a.jpg"), b"x").unwrap();
    let mut source = open(dir.path().to_str().unwrap(), &OPTIONS).unwrap();
    let batch = source.next_batch(10).unwrap().unwrap();
    assert_eq!((batch.images.len(), batch.skipped.len()), (0, 1));
}

/// Values of Pillow 13: `Image.resize((4, 4), BILINEAR)` of an 8 wide, 16 high image whose red is `16 * x`, green
/// `16 * y` and blue 7; for `crop`, `resize((4, 8), BILINEAR)` and rows 2 to 6 of it.
#[test]
fn another_size_is_resized_as_pillow_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut bytes = Vec::new();
    for y in 0..16_u8 {
        for x in 0..8_u8 {
            bytes.extend([16 * x, 16 * y, 7]);
        }
    }
    save(&dir.path().join("a.png"), &bytes, 8, 16, ColorType::Rgb8);
    let shape = ImageShape {
        height: 4,
        width: 4,
    };
    for (resize, red, green) in [
        (Resize::Stretch, RED, GREEN_STRETCHED),
        (Resize::Crop, RED, GREEN_CROPPED),
    ] {
        let options = DecodeOptions { shape, resize };
        let location = dir.path().to_str().unwrap();
        let (seen, _) = read_from(location, &options, 0, 1).unwrap();
        for (i, pixel) in seen[0].pixels.chunks(3).enumerate() {
            assert_eq!(pixel, [red[i % 4], green[i / 4], 7], "{resize:?} {i}");
        }
    }
}

const RED: [u8; 4] = [11, 40, 72, 101];
const GREEN_STRETCHED: [u8; 4] = [30, 88, 152, 210];
const GREEN_CROPPED: [u8; 4] = [72, 104, 136, 168];

#[test]
fn folders_that_are_no_source_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let location = dir.path().to_str().unwrap();
    let error = open_error(location);
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert!(
        error
            .to_string()
            .contains("images end in .jpg, .jpeg, .png, .webp"),
        "{error}"
    );
    png(&dir.path().join("a.png"), 0);
    png(&dir.path().join("cat/a.png"), 0);
    let error = open_error(location).to_string();
    assert!(
        error.contains("both class folders and images outside"),
        "{error}"
    );
    let error = open_error(&format!("{location}/none"));
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .contains("a source is one of: a .parquet file"),
        "{error}"
    );
    let error = open_error(&format!("{location}/cat#test")).to_string();
    assert!(error.contains("has no splits"), "{error}");
    fs::write(dir.path().join("notes.txt"), "no source").unwrap();
    let error = open_error(&format!("{location}/notes.txt"));
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("a source is one of"), "{error}");
}

#[test]
fn sample_is_a_source_with_two_splits() {
    for (location, rows) in [
        ("sample", SAMPLE_TRAIN_ROWS),
        ("sample#train", SAMPLE_TRAIN_ROWS),
        ("sample#test", SAMPLE_TEST_ROWS),
    ] {
        let mut source = open(location, &OPTIONS).unwrap();
        assert_eq!(source.info().rows, rows, "{location}");
        assert_eq!(source.next_batch(5).unwrap().unwrap().images.len(), 5);
    }
}

#[test]
fn a_fingerprint_follows_the_files_and_not_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let (here, there) = (dir.path().join("here"), dir.path().join("there"));
    let fingerprint = |path: &Path| {
        let source = open(path.to_str().unwrap(), &OPTIONS).unwrap();
        source.info().fingerprint.clone()
    };
    png(&here.join("a.png"), 0);
    let before = fingerprint(&here);
    assert_eq!(before.len(), 64);
    assert_eq!(before, fingerprint(&dir.path().join("./here/../here/")));
    fs::rename(&here, &there).unwrap();
    assert_eq!(before, fingerprint(&there));
    fs::rename(there.join("a.png"), there.join("b.png")).unwrap();
    assert_ne!(before, fingerprint(&there));
}
