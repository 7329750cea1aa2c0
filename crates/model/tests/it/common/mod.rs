//! The smallest ResNet-18 there is, and its file.

use std::path::Path;

use driftline_core::Error;
use driftline_model::{Tensor, Weights};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

pub const WIDTH: usize = 2;
pub const DIM: usize = 3;
pub const CLASSES: usize = 4;

fn tensor(shape: &[usize], value: f32) -> Tensor {
    Tensor {
        shape: shape.to_vec(),
        data: vec![value; shape.iter().product()],
    }
}

/// Names and shapes of the architecture; weights are 0.5, and batch norms do nothing but divide by
/// `sqrt(1 + epsilon)`.
pub fn network() -> Weights {
    let mut weights = Weights::default();
    let mut add = |name: String, shape: &[usize], value: f32| {
        assert!(weights.tensors.insert(name, tensor(shape, value)).is_none());
    };
    let mut convolution = |conv: &str, norm: &str, out: usize, input: usize, kernel: usize| {
        add(format!("{conv}.weight"), &[out, input, kernel, kernel], 0.5);
        for (part, value) in [
            ("weight", 1.0),
            ("bias", 0.0),
            ("running_mean", 0.0),
            ("running_var", 1.0),
        ] {
            add(format!("{norm}.{part}"), &[out], value);
        }
    };
    convolution("conv1", "bn1", WIDTH, 3, 7);
    let mut channels = WIDTH;
    for layer in 1..=4_usize {
        for block in 0..2 {
            let name = format!("layer{layer}.{block}");
            let out = WIDTH << (layer - 1);
            let (first, second) = (format!("{name}.conv1"), format!("{name}.conv2"));
            convolution(&first, &format!("{name}.bn1"), out, channels, 3);
            convolution(&second, &format!("{name}.bn2"), out, out, 3);
            if layer > 1 && block == 0 {
                let shortcut = format!("{name}.downsample.0");
                convolution(&shortcut, &format!("{name}.downsample.1"), out, channels, 1);
            }
            channels = out;
        }
    }
    for (name, outputs, inputs) in [("fc.0", DIM, channels), ("fc.2", CLASSES, DIM)] {
        add(format!("{name}.weight"), &[outputs, inputs], 0.5);
        add(format!("{name}.bias"), &[outputs], 0.5);
    }
    weights
}

/// Writes `.safetensors`.
pub fn save(weights: &Weights, path: &Path) {
    let bytes: Vec<(&String, &Tensor, Vec<u8>)> = weights
        .tensors
        .iter()
        .map(|(name, tensor)| {
            let bytes = tensor.data.iter().flat_map(|value| value.to_le_bytes());
            (name, tensor, bytes.collect())
        })
        .collect();
    let views = bytes.iter().map(|(name, tensor, bytes)| {
        let view = TensorView::new(Dtype::F32, tensor.shape.clone(), bytes).unwrap();
        (name.as_str(), view)
    });
    safetensors::serialize_to_file(views, None, path).unwrap();
}

/// The text of an error, which must hold every one of `parts`.
pub fn assert_says(error: &Error, parts: &[&str]) {
    let text = error.to_string();
    for part in parts {
        assert!(text.contains(part), "no `{part}` in: {text}");
    }
}
