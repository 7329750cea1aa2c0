//! The transforms against torchvision, and what every transform promises.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use driftline_core::{
    DriftTransform, ImageBatch, ImageShape, Registry, TransformContext, TransformSpec,
};
use safetensors::SafeTensors;

const SHAPE: ImageShape = ImageShape {
    height: 32,
    width: 32,
};

fn build(expression: &str) -> Result<Box<dyn DriftTransform>, String> {
    let mut registry = Registry::new("transform");
    driftline_transforms::register(&mut registry).unwrap();
    let specs = TransformSpec::parse_list(expression).map_err(|e| e.to_string())?;
    registry
        .build(&specs[0].name, &specs[0])
        .map_err(|e| e.to_string())
}

fn apply(transform: &dyn DriftTransform, images: &[u8], rows: &[u64], seed: u64) -> Vec<u8> {
    let mut batch = ImageBatch::new(SHAPE, images.to_vec()).unwrap();
    transform
        .apply(&mut batch, &TransformContext { seed, rows })
        .unwrap();
    batch.as_bytes().to_vec()
}

/// Images with every pixel value and hard edges.
fn pattern(n: usize) -> Vec<u8> {
    (0..n * SHAPE.bytes())
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 7) as u8)
        .collect()
}

fn golden() -> Option<Vec<u8>> {
    let folder = match std::env::var_os("DRIFTLINE_TEST_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
    };
    let bytes = std::fs::read(folder.join("golden.safetensors")).ok();
    if bytes.is_none() {
        println!("skipped: no golden.safetensors; set DRIFTLINE_TEST_DATA to its folder");
    }
    bytes
}

fn compare(name: &str, values: &str, expected: &str) {
    let Some(bytes) = golden() else { return };
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let images = golden.tensor("images").unwrap().data();
    let expected = golden.tensor(expected).unwrap().data();
    let values = golden.tensor(values).unwrap().data().as_chunks().0;
    assert_eq!(values.len(), 16);
    for image in 0..16 {
        for (i, value) in values.iter().enumerate() {
            let value = f64::from_le_bytes(*value);
            let transform = build(&format!("{name}({value})")).unwrap();
            let bytes = SHAPE.bytes();
            let found = apply(&*transform, &images[image * bytes..][..bytes], &[0], 0);
            let expected = &expected[(image * 16 + i) * bytes..][..bytes];
            let differing = found.iter().zip(expected).filter(|(f, e)| f != e).count();
            assert_eq!(differing, 0, "image {image}, {name} {value}");
        }
    }
}

#[test]
fn gaussian_blur_is_torchvisions_to_the_bit() {
    compare("gaussian_blur", "blur_sigma", "blur_3x3");
}

#[test]
fn brightness_is_torchvisions_to_the_bit() {
    compare("brightness", "brightness_factor", "brightness");
}

#[test]
fn the_result_depends_on_seed_and_row_alone() {
    let images = pattern(20);
    let rows: Vec<u64> = (5..25).collect();
    for expression in ["blur(0.1..2)", "brightness"] {
        let transform = build(expression).unwrap();
        let whole = apply(&*transform, &images, &rows, 1);
        for split in [1, 7] {
            let bytes = split * SHAPE.bytes();
            let parts: Vec<u8> = images
                .chunks(bytes)
                .zip(rows.chunks(split))
                .flat_map(|(images, rows)| apply(&*transform, images, rows, 1))
                .collect();
            assert_eq!(parts, whole, "{expression} in batches of {split}");
        }
        assert_ne!(apply(&*transform, &images, &rows, 2), whole);
    }
}

#[test]
fn the_expression_builds_the_same_transform_again() {
    for expression in [
        "blur(sigma=0.1..2)",
        "brightness(0.4..0.6)",
        "gaussian_blur(1)",
    ] {
        let transform = build(expression).unwrap();
        let again = build(&transform.info().expression).unwrap();
        assert_eq!(transform.info(), again.info());
    }
}

#[test]
fn bad_parameters_are_refused() {
    for (expression, expected) in [
        ("blur(0)", "not above 0"),
        ("blur(2..1)", "not from a smaller to a larger"),
        ("blur(strong)", "not a number or a range"),
        ("blur(size=3)", "unknown parameter `size`"),
        ("brightness(-1)", "is negative"),
        (
            "fog",
            "there is no transform named `fog`; available: gaussian_blur (or blur), brightness",
        ),
    ] {
        let error = build(expression).map(|_| ()).unwrap_err();
        assert!(error.contains(expected), "{expression}: {error}");
    }
}
