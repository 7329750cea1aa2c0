//! Which urls lead to a picture, and which never do.

use std::fs;
use std::path::Path;

use driftline_data::{DecodeOptions, sample};
use driftline_report::Pictures;
use image::{ImageFormat, RgbImage};
use tempfile::tempdir;

fn picture(path: &Path, width: u32, height: u32) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let image = RgbImage::from_fn(width, height, |x, y| image::Rgb([x as u8, y as u8, 7]));
    image.save(path).unwrap();
}

fn decoded(png: &[u8]) -> RgbImage {
    image::load_from_memory_with_format(png, ImageFormat::Png)
        .unwrap()
        .into_rgb8()
}

#[test]
fn the_sample_needs_no_folder() {
    let pictures = Pictures::new(&[]).unwrap();
    let shape = sample::SHAPE;
    let mut source = driftline_data::open(
        "sample#test",
        &DecodeOptions {
            shape,
            resize: driftline_core::Resize::Stretch,
        },
    )
    .unwrap();
    let batch = source.next_batch(3).unwrap().unwrap();
    for (row, pixels) in batch
        .rows
        .iter()
        .zip(batch.images.as_bytes().chunks(shape.bytes()))
    {
        assert!(pictures.knows(&row.url), "{}", row.url);
        assert_eq!(decoded(&pictures.png(&row.url).unwrap()).as_raw(), pixels);
    }
    let right = &batch.rows[0].url;
    let (start, _) = right.rsplit_once('-').unwrap();
    for wrong in [
        format!("{start}-nothing.png"),
        format!("{right}x"),
        right.replace("test", "other"),
        "sample/test/+0001-rings.png".to_owned(),
        String::new(),
        "a".repeat(10_000),
    ] {
        assert!(!pictures.knows(&wrong), "{wrong}");
        assert!(pictures.png(&wrong).is_none());
    }
}

#[test]
fn only_pictures_inside_the_folder_leave_it() {
    let folder = tempdir().unwrap();
    let allowed = folder.path().join("allowed");
    picture(&allowed.join("cats/1.png"), 40, 20);
    picture(&folder.path().join("outside.png"), 4, 4);
    fs::write(allowed.join("secret.txt"), "no picture").unwrap();
    fs::write(allowed.join("broken.png"), b"\x89PNG\r\n\x1a\nno").unwrap();
    std::os::unix::fs::symlink("../outside.png", allowed.join("link.png")).unwrap();
    std::os::unix::fs::symlink("..", allowed.join("up")).unwrap();
    let pictures = Pictures::new(std::slice::from_ref(&allowed)).unwrap();

    let absolute = allowed.join("cats/1.png").display().to_string();
    for url in [
        "cats/1.png",
        "./cats/../cats/1.png",
        &absolute,
        &format!("file://{absolute}"),
    ] {
        let image = decoded(&pictures.png(url).unwrap());
        assert_eq!(image.dimensions(), (40, 20), "{url}");
        assert_eq!(image.get_pixel(39, 19).0, [39, 19, 7]);
    }
    let outside = folder.path().join("outside.png").display().to_string();
    for url in [
        "../outside.png",
        "cats/../../outside.png",
        "link.png",
        "up/outside.png",
        "up/allowed/../outside.png",
        &outside,
        &format!("file://{outside}"),
        "%2e%2e/outside.png",
        "cats",
        "cats/1.png\0",
        "secret.txt",
        "broken.png",
        "nothing.png",
        "https://example.org/1.png",
        "/etc/passwd",
    ] {
        assert!(pictures.png(url).is_none(), "{url}");
    }
}

#[test]
fn large_pictures_are_made_smaller() {
    let folder = tempdir().unwrap();
    picture(&folder.path().join("wide.png"), 800, 100);
    let pictures = Pictures::new(&[folder.path().to_owned()]).unwrap();
    let small = decoded(&pictures.png("wide.png").unwrap());
    assert_eq!(small.dimensions(), (160, 20));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let error = Pictures::new(&["nowhere/at/all".into()]).unwrap_err();
    assert!(error.to_string().contains("nowhere/at/all"), "{error}");
}

#[test]
fn rows_of_parquet_files_are_found_by_their_paths() {
    let Some(data) = std::env::var_os("DRIFTLINE_TEST_DATA") else {
        println!("skipped: DRIFTLINE_TEST_DATA is not set");
        return;
    };
    let file = Path::new(&data).join("cifar10-test.parquet");
    let shape = sample::SHAPE;
    let options = DecodeOptions {
        shape,
        resize: driftline_core::Resize::Stretch,
    };
    let mut source = driftline_data::open(file.to_str().unwrap(), &options).unwrap();
    source.skip_rows(7_777).unwrap();
    let batch = source.next_batch(3).unwrap().unwrap();
    let pictures = Pictures::new(&[data.into()]).unwrap();
    for (row, pixels) in batch
        .rows
        .iter()
        .zip(batch.images.as_bytes().chunks(shape.bytes()))
    {
        assert_eq!(
            decoded(&pictures.png(&row.url).unwrap()).as_raw(),
            pixels,
            "{}",
            row.url
        );
    }
    let one = Pictures::new(&[file]).unwrap();
    assert!(one.knows(&batch.rows[0].url));
    assert!(!one.knows("cifar10-test.parquet") && !one.knows(""));
    assert!(!pictures.knows("test/airplane/9999999.jpg"));
    assert!(!pictures.knows("cifar10-test.parquet#1"));
}
