//! The real CIFAR-10 test file.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{OPTIONS, read_from};
use driftline_core::Label;
use driftline_data::open;
use safetensors::SafeTensors;

/// The JPEG decoder here and Pillow's round the inverse transform and the colour conversion differently. Measured on
/// these 256 images: the largest difference is 4 levels and the mean is 0.30087.
const LARGEST: u8 = 4;
const MEAN: f64 = 0.301;

fn data() -> PathBuf {
    std::env::var_os("DRIFTLINE_TEST_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    )
}

#[test]
fn decoded_images_are_those_of_pillow() {
    let (path, golden) = (
        data().join("cifar10-test.parquet"),
        data().join("golden.safetensors"),
    );
    let Ok(golden) = fs::read(&golden) else {
        println!(
            "skipped the comparison with Pillow: {} is missing",
            golden.display()
        );
        return;
    };
    let golden = SafeTensors::deserialize(&golden).unwrap();
    let location = path.to_str().unwrap();
    let mut source = open(location, &OPTIONS).unwrap();
    assert_eq!(source.info().rows, 10_000);
    let batch = source.next_batch(256).unwrap().unwrap();
    assert_eq!((batch.images.len(), batch.skipped.len()), (256, 0));
    let labels = golden.tensor("labels").unwrap();
    let width = labels.data().len() / 256;
    for (row, label) in batch.rows.iter().zip(labels.data().chunks(width)) {
        // The labels are 0..9: the lowest byte says all.
        assert_eq!(row.label, Some(Label::Index(label[0].into())));
    }
    let expected = golden.tensor("images").unwrap();
    let differences: Vec<u8> = batch
        .images
        .as_bytes()
        .iter()
        .zip(expected.data())
        .map(|(a, b)| a.abs_diff(*b))
        .collect();
    assert_eq!(differences.len(), 256 * 3072);
    let largest = differences.iter().copied().max().unwrap();
    let sum: u64 = differences.iter().copied().map(u64::from).sum();
    let mean = sum as f64 / differences.len() as f64;
    println!("largest difference {largest}, mean {mean:.5}");
    assert!(largest <= LARGEST && mean <= MEAN, "{largest} {mean}");

    source.skip_rows(9_000).unwrap();
    let after = source.next_batch(3).unwrap().unwrap();
    let (same, _) = read_from(location, &OPTIONS, 9_256, 100).unwrap();
    assert_eq!(
        after.images.as_bytes(),
        same.iter()
            .take(3)
            .flat_map(|s| s.pixels.clone())
            .collect::<Vec<_>>()
    );
    assert_eq!(same.len(), 744);
}
