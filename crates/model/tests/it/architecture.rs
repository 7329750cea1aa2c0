//! Tensors that do and do not make a ResNet-18.

use crate::common::{CLASSES, DIM, WIDTH, assert_says, network};
use driftline_core::ErrorKind;
use driftline_model::{ResNet18, Tensor};

const REMEDY: &str = "do not belong to a ResNet-18";

/// The shape that a message can give for a tensor: numbers, or words where the weights decide.
fn expected_shape(name: &str, shape: &[usize]) -> String {
    match name {
        "conv1.weight" => "[width, 3, 7, 7]".to_owned(),
        "fc.0.weight" => "[dim, 8 * width]".to_owned(),
        "fc.2.weight" => "[classes, dim]".to_owned(),
        _ => format!("{shape:?}"),
    }
}

#[test]
fn width_dim_and_classes_are_read_from_the_weights() {
    let mut weights = network();
    // Counters of older files are passed over.
    let counter = Tensor {
        shape: Vec::new(),
        data: vec![7.0],
    };
    let name = "bn1.num_batches_tracked".to_owned();
    weights.tensors.insert(name, counter);
    let network = ResNet18::new(&weights).unwrap();
    assert_eq!(network.base_width(), WIDTH);
    assert_eq!(network.dim(), DIM);
    assert_eq!(network.classes(), CLASSES);
    let channels: Vec<_> = network
        .blocks
        .iter()
        .map(|block| (block.conv1.in_channels, block.conv2.out_channels))
        .collect();
    let expected = [
        (2, 2),
        (2, 2),
        (2, 4),
        (4, 4),
        (4, 8),
        (8, 8),
        (8, 16),
        (16, 16),
    ];
    assert_eq!(channels, expected);
    for (i, block) in network.blocks.iter().enumerate() {
        let shrinks = [2, 4, 6].contains(&i);
        assert_eq!(block.conv1.stride, if shrinks { 2 } else { 1 });
        assert_eq!(block.downsample.is_some(), shrinks);
    }
}

#[test]
fn a_batch_norm_becomes_part_of_its_convolution() {
    let mut weights = network();
    for (part, value) in [
        ("weight", 3.0),
        ("bias", 10.0),
        ("running_mean", 4.0),
        ("running_var", 36.0),
    ] {
        weights
            .tensors
            .get_mut(&format!("bn1.{part}"))
            .unwrap()
            .data
            .fill(value);
    }
    let stem = ResNet18::new(&weights).unwrap().stem;
    let scale = 3.0 / (36.0_f64 + 1e-5).sqrt();
    assert_eq!(stem.weight, vec![(0.5 * scale) as f32; 3 * 7 * 7 * WIDTH]);
    assert_eq!(stem.bias, vec![(10.0 - 4.0 * scale) as f32; WIDTH]);
}

#[test]
fn every_missing_tensor_is_named_with_its_shape() {
    let whole = network();
    for (name, tensor) in &whole.tensors {
        let mut weights = whole.clone();
        weights.tensors.remove(name);
        let error = ResNet18::new(&weights).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let shape = expected_shape(name, &tensor.shape);
        let message = format!("the tensor `{name}` of shape {shape} is missing");
        assert_says(&error, &[&message, REMEDY]);
    }
}

#[test]
fn every_misshapen_tensor_is_named_with_both_shapes() {
    let whole = network();
    for (name, tensor) in &whole.tensors {
        let mut weights = whole.clone();
        let found = [&tensor.shape[..], &[1]].concat();
        weights
            .tensors
            .get_mut(name)
            .unwrap()
            .shape
            .clone_from(&found);
        let error = ResNet18::new(&weights).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let shape = expected_shape(name, &tensor.shape);
        let message = format!("the tensor `{name}` has shape {found:?}, expected {shape}");
        assert_says(&error, &[&message, REMEDY]);
    }
}

#[test]
fn layers_that_do_not_fit_each_other_are_refused() {
    for (name, shape, expected) in [
        ("fc.0.weight", vec![DIM, 15], "[3, 16]"),
        ("fc.2.weight", vec![CLASSES, 2], "[4, 3]"),
        ("layer2.0.conv1.weight", vec![4, 4, 3, 3], "[4, 2, 3, 3]"),
        ("conv1.weight", vec![WIDTH, 1, 7, 7], "[2, 3, 7, 7]"),
    ] {
        let mut weights = network();
        let data = vec![0.5; shape.iter().product()];
        let message = format!("the tensor `{name}` has shape {shape:?}, expected {expected}");
        let tensor = Tensor { shape, data };
        weights.tensors.insert(name.to_owned(), tensor);
        assert_says(&ResNet18::new(&weights).unwrap_err(), &[&message]);
    }
    let mut weights = network();
    let empty = Tensor {
        shape: vec![0, 3],
        data: Vec::new(),
    };
    weights.tensors.insert("fc.2.weight".to_owned(), empty);
    assert_says(
        &ResNet18::new(&weights).unwrap_err(),
        &["`fc.2.weight` has shape [0, 3], expected [classes, dim]"],
    );
}

#[test]
fn a_tensor_too_many_is_named_with_its_shape() {
    let mut weights = network();
    let extra = Tensor {
        shape: vec![2, 5],
        data: vec![0.0; 10],
    };
    weights.tensors.insert("fc.4.weight".to_owned(), extra);
    assert_says(
        &ResNet18::new(&weights).unwrap_err(),
        &[
            "the tensor `fc.4.weight` of shape [2, 5] has no place in the architecture",
            REMEDY,
        ],
    );
}

#[test]
fn a_number_that_is_not_finite_is_named_with_its_place() {
    for (name, value, shown) in [
        ("layer1.1.conv2.weight", f32::NAN, "NaN"),
        ("bn1.running_var", f32::INFINITY, "inf"),
        ("fc.2.bias", f32::NEG_INFINITY, "-inf"),
    ] {
        let mut weights = network();
        weights.tensors.get_mut(name).unwrap().data[1] = value;
        let message = format!("the tensor `{name}` holds {shown} at position 1");
        let error = ResNet18::new(&weights).unwrap_err();
        assert_says(&error, &[&message, "weights must be finite"]);
    }
    let mut weights = network();
    let name = "layer3.0.downsample.1.running_var";
    weights.tensors.get_mut(name).unwrap().data[2] = -0.25;
    assert_says(
        &ResNet18::new(&weights).unwrap_err(),
        &["the variance `layer3.0.downsample.1.running_var` is negative at position 2"],
    );
}
