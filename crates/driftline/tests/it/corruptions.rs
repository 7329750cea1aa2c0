//! The corruptions of the plugin of that name, beside those of the Python package imagecorruptions.
//!
//! `DRIFTLINE_PLUGIN_PATH` names the folder with the plugin, `DRIFTLINE_PYTHON` a Python with the packages of
//! `plugins/corruptions/tests/requirements.txt`.

use std::path::Path;
use std::process::Command;

use driftline::core::{DriftTransform, ImageBatch, ImageShape, TransformContext};
use driftline::settings::PluginSettings;
use driftline::{Plugins, registries};

const FAMILIES: [&str; 19] = [
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "speckle_noise",
    "gaussian_blur_c",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "spatter",
    "brightness_c",
    "contrast",
    "saturate",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
];

fn plugins() -> Option<Plugins> {
    let plugins = Plugins::find(&PluginSettings::default(), None).unwrap();
    let found = registries::transforms(&plugins).unwrap();
    if found.find("fog").is_ok() {
        return Some(plugins);
    }
    println!("skipped: DRIFTLINE_PLUGIN_PATH names no folder with the plugin corruptions");
    None
}

/// Waves of several lengths and a sharp edge: something for every family to change.
fn image(side: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(side * side * 3);
    for y in 0..side {
        for x in 0..side {
            let (fy, fx) = (y as f64 / side as f64, x as f64 / side as f64);
            let wave = (20.0 * fx + 7.0 * fy).sin() * (31.0 * fy).cos();
            let edge = if fx + 0.5 * fy > 0.8 { 60.0 } else { 0.0 };
            for phase in [0.0, 1.0, 2.0] {
                let value = 100.0 + 70.0 * (wave + phase * fy).sin() + edge * (1.0 - phase / 3.0);
                bytes.push(value.clamp(0.0, 255.0) as u8);
            }
        }
    }
    bytes
}

fn apply(transform: &dyn DriftTransform, image: &[u8], side: usize, copies: u64) -> Vec<u8> {
    let shape = ImageShape {
        height: side,
        width: side,
    };
    let mut images = ImageBatch::new(shape, image.repeat(copies as usize)).unwrap();
    let rows: Vec<u64> = (0..copies).collect();
    let context = TransformContext {
        seed: 11,
        rows: &rows,
    };
    transform.apply(&mut images, &context).unwrap();
    images.as_bytes().to_vec()
}

fn make(family: &str, severity: usize, plugins: &Plugins) -> Box<dyn DriftTransform> {
    let expression = format!("{family}({severity})");
    registries::build_transforms(&expression, plugins)
        .unwrap()
        .remove(0)
}

#[test]
fn every_family_changes_images_and_draws_by_row() {
    let Some(plugins) = plugins() else { return };
    for side in [32, 96] {
        let image = image(side);
        for family in FAMILIES {
            for severity in 1..=5 {
                let changed = apply(make(family, severity, &plugins).as_ref(), &image, side, 2);
                let (first, second) = changed.split_at(image.len());
                assert_ne!(first, image, "{family}({severity}) at {side}");
                let draws = !matches!(
                    family,
                    "gaussian_blur_c"
                        | "defocus_blur"
                        | "zoom_blur"
                        | "brightness_c"
                        | "contrast"
                        | "saturate"
                        | "pixelate"
                        | "jpeg_compression"
                );
                assert_eq!(first != second, draws, "{family}({severity}) at {side}");
            }
        }
    }
}

#[test]
fn severities_are_whole_and_from_1_to_5() {
    let Some(plugins) = plugins() else { return };
    for bad in ["0", "6", "2.5", "-1"] {
        let error = registries::build_transforms(&format!("fog({bad})"), &plugins)
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("not 1, 2, 3, 4 or 5"), "{bad}: {error}");
    }
}

#[test]
fn they_are_those_of_the_python_package() {
    const SIDE: usize = 96;
    const COPIES: u64 = 24;
    let Some(plugins) = plugins() else { return };
    let Some(python) = std::env::var_os("DRIFTLINE_PYTHON") else {
        println!("skipped: set DRIFTLINE_PYTHON to a Python with the package imagecorruptions");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let image = image(SIDE);
    std::fs::write(folder.path().join("image.raw"), &image).unwrap();
    for family in FAMILIES {
        for severity in 1..=5 {
            let changed = apply(
                make(family, severity, &plugins).as_ref(),
                &image,
                SIDE,
                COPIES,
            );
            let file = format!("{family}-{severity}.raw");
            std::fs::write(folder.path().join(file), changed).unwrap();
        }
    }
    let script =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/corruptions/tests/reference.py");
    let output = Command::new(python)
        .arg(script)
        .arg(folder.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
