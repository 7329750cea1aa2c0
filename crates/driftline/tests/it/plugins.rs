//! A drift transform that is loaded from a plugin, beside the built-in ones.
//!
//! `DRIFTLINE_PLUGIN_PATH` names the folder with the plugin `template-rust`.

use driftline::core::{DriftTransform, ImageBatch, ImageShape, TransformContext};
use driftline::settings::PluginSettings;
use driftline::{Plugins, registries};

const SHAPE: ImageShape = ImageShape {
    height: 5,
    width: 7,
};

/// The plugins, or nothing where `invert` is not among them.
fn plugins() -> Option<Plugins> {
    let plugins = Plugins::find(&PluginSettings::default(), None).unwrap();
    let found = registries::transforms(&plugins).unwrap();
    if found.find("invert").is_ok() {
        return Some(plugins);
    }
    println!("skipped: DRIFTLINE_PLUGIN_PATH names no folder with the plugin template-rust");
    None
}

fn images(n: usize) -> ImageBatch {
    let bytes = (0..n * SHAPE.bytes()).map(|i| (i * 31 % 256) as u8);
    ImageBatch::new(SHAPE, bytes.collect()).unwrap()
}

fn apply(transforms: &[Box<dyn DriftTransform>], n: usize) -> Vec<u8> {
    let mut images = images(n);
    let rows: Vec<u64> = (0..n as u64).collect();
    let context = TransformContext {
        seed: 42,
        rows: &rows,
    };
    for transform in transforms {
        transform.apply(&mut images, &context).unwrap();
    }
    images.as_bytes().to_vec()
}

#[test]
fn a_loaded_transform_gives_the_bytes_of_its_formula() {
    let Some(plugins) = plugins() else { return };
    for n in [0, 1, 9] {
        let whole = registries::build_transforms("invert", &plugins).unwrap();
        let expected: Vec<u8> = images(n)
            .as_bytes()
            .iter()
            .map(|value| 255 - value)
            .collect();
        assert_eq!(apply(&whole, n), expected);
        let half = registries::build_transforms("invert(0.25)", &plugins).unwrap();
        assert_eq!(half[0].info().expression, "invert(amount=0.25)");
        let mixed = |value: &u8| {
            let value = f32::from(*value);
            (value + 0.25 * (255.0 - 2.0 * value)).round() as u8
        };
        let expected: Vec<u8> = images(n).as_bytes().iter().map(mixed).collect();
        assert_eq!(apply(&half, n), expected);
    }
}

#[test]
fn it_composes_with_a_built_in_one_and_works_from_many_threads() {
    let Some(plugins) = plugins() else { return };
    let chain = registries::build_transforms("invert,brightness(0.5),invert", &plugins).unwrap();
    let expected = apply(&chain, 9);
    assert_ne!(expected, images(9).as_bytes());
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..8).map(|_| scope.spawn(|| apply(&chain, 9))).collect();
        for run in runs {
            assert_eq!(run.join().unwrap(), expected);
        }
    });
}

#[test]
fn bad_parameters_are_the_plugins_error() {
    let Some(plugins) = plugins() else { return };
    for (expression, expected) in [
        ("invert(amount=2)", "`amount` is 2, not from 0 to 1"),
        ("invert(amonut=1)", "'amonut' was unexpected"),
        ("invert(1, 2)", "too many values"),
        ("invert(1, amount=1)", "given twice"),
        ("invert(amount=dark)", "is not of type"),
    ] {
        let error = registries::build_transforms(expression, &plugins)
            .err()
            .unwrap_or_else(|| panic!("{expression} was accepted"));
        assert!(
            error.to_string().contains(expected),
            "{expression}: {error}"
        );
    }
}
