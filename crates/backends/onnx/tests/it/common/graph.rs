//! Small ONNX files, right and wrong, written field by field
//! (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>).

use std::path::PathBuf;

pub const FLOAT: u64 = 1;
pub const UINT8: u64 = 2;
pub const INT8: u64 = 3;
const INT64: u64 = 7;

/// Height and width of the images, and length of an embedding.
pub const SIDE: usize = 8;
pub const DIM: usize = 5;
/// Name and bytes of the external data.
pub const EXTERNAL: &str = "weight.bin";

/// A network that no one but a user would bring: the mean of each channel, times a matrix `[3, DIM]`.
pub struct Graph {
    /// Shape of the input; `None` is a length that is open.
    pub input: Vec<Option<u64>>,
    pub input_type: u64,
    pub weight: Vec<f32>,
    /// The matrix lies in a file beside the graph.
    pub external: bool,
    /// A batch of `n` images asks for `2^(12 n + 2)` bytes more.
    pub greedy: bool,
}

impl Graph {
    pub fn new() -> Self {
        let side = Some(SIDE as u64);
        Self {
            input: vec![None, Some(3), side, side],
            input_type: FLOAT,
            weight: (0..3 * DIM).map(|i| i as f32 / 4.0 - 1.5).collect(),
            external: false,
            greedy: false,
        }
    }

    /// The embedding of one image, u8 `[SIDE, SIDE, 3]`, as `(pixel / 255 - 0.5) / 0.25`.
    pub fn expected(&self, image: &[u8]) -> Vec<f64> {
        let mut means = [0.0; 3];
        for (i, pixel) in image.iter().enumerate() {
            let value = (f64::from(*pixel) / 255.0 - 0.5) / 0.25;
            means[i % 3] += value / (SIDE * SIDE) as f64;
        }
        (0..DIM)
            .map(|column| {
                (0..3)
                    .map(|row| means[row] * f64::from(self.weight[row * DIM + column]))
                    .sum()
            })
            .collect()
    }

    /// Writes `m.onnx`, its data and a model.toml into a new folder; returns it with the path of the last.
    pub fn write(&self, layout: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("m.onnx"), self.model(layout == "nhwc")).unwrap();
        if self.external {
            std::fs::write(folder.path().join(EXTERNAL), self.weight_bytes()).unwrap();
        }
        let manifest = folder.path().join("model.toml");
        let text = format!(
            "name = \"own\"\narchitecture = \"onnx\"\n[weights]\nfile = \"m.onnx\"\n[input]\nlayout = \"{layout}\"\n\
             height = {SIDE}\nwidth = {SIDE}\nmean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\n\
             [embedding]\nlayer = \"features\"\ndim = {DIM}\n"
        );
        std::fs::write(&manifest, text).unwrap();
        (folder, manifest)
    }

    fn weight_bytes(&self) -> Vec<u8> {
        self.weight.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    fn model(&self, nhwc: bool) -> Vec<u8> {
        let mut graph = Vec::new();
        let mut node = |kind: &str, inputs: &[&str], output: &str, attributes: &[Vec<u8>]| {
            let mut node = Vec::new();
            for input in inputs {
                bytes(&mut node, 1, input.as_bytes());
            }
            bytes(&mut node, 2, output.as_bytes());
            bytes(&mut node, 4, kind.as_bytes());
            for attribute in attributes {
                bytes(&mut node, 5, attribute);
            }
            bytes(&mut graph, 1, &node);
        };
        node("Cast", &["pixels"], "cast", &[int("to", FLOAT)]);
        let perm = if nhwc { [0, 3, 1, 2] } else { [0, 1, 2, 3] };
        node("Transpose", &["cast"], "planes", &[ints("perm", &perm)]);
        node("GlobalAveragePool", &["planes"], "means", &[]);
        node("Flatten", &["means"], "flat", &[]);
        if self.greedy {
            let first = [int("start", 0), int("end", 1)];
            node("Shape", &["pixels"], "n", &first);
            node("Cast", &["n"], "n.f32", &[int("to", FLOAT)]);
            node("Mul", &["n.f32", "twelve"], "power", &[]);
            node("Pow", &["two", "power"], "length.f32", &[]);
            node("Cast", &["length.f32"], "length", &[int("to", INT64)]);
            node("ConstantOfShape", &["length"], "zeros", &[]);
            node("ReduceSum", &["zeros"], "zero", &[int("keepdims", 0)]);
            node("MatMul", &["flat", "weight"], "product", &[]);
            node("Add", &["product", "zero"], "features", &[]);
        } else {
            node("MatMul", &["flat", "weight"], "features", &[]);
        }
        bytes(&mut graph, 2, b"own");
        let mut weight = tensor("weight", &[3, DIM as u64]);
        if self.external {
            let mut entry = Vec::new();
            bytes(&mut entry, 1, b"location");
            bytes(&mut entry, 2, EXTERNAL.as_bytes());
            bytes(&mut weight, 13, &entry);
            number(&mut weight, 14, 1);
        } else {
            bytes(&mut weight, 9, &self.weight_bytes());
        }
        bytes(&mut graph, 5, &weight);
        if self.greedy {
            for (name, value) in [("two", 2.0_f32), ("twelve", 12.0)] {
                let mut scalar = tensor(name, &[]);
                bytes(&mut scalar, 9, &value.to_le_bytes());
                bytes(&mut graph, 5, &scalar);
            }
        }
        let input = value("pixels", self.input_type, &self.input);
        bytes(&mut graph, 11, &input);
        let batch = self.input[0];
        let output = value("features", FLOAT, &[batch, Some(DIM as u64)]);
        bytes(&mut graph, 12, &output);
        let mut model = Vec::new();
        number(&mut model, 1, 8);
        bytes(&mut model, 7, &graph);
        let mut operators = Vec::new();
        number(&mut operators, 2, 17);
        bytes(&mut model, 8, &operators);
        model
    }
}

/// A tensor of f32, without its data.
fn tensor(name: &str, lengths: &[u64]) -> Vec<u8> {
    let mut tensor = Vec::new();
    for length in lengths {
        number(&mut tensor, 1, *length);
    }
    number(&mut tensor, 2, FLOAT);
    bytes(&mut tensor, 8, name.as_bytes());
    tensor
}

fn value(name: &str, kind: u64, lengths: &[Option<u64>]) -> Vec<u8> {
    let mut shape = Vec::new();
    for length in lengths {
        let mut dimension = Vec::new();
        match length {
            Some(length) => number(&mut dimension, 1, *length),
            None => bytes(&mut dimension, 2, b"N"),
        }
        bytes(&mut shape, 1, &dimension);
    }
    let mut tensor = Vec::new();
    number(&mut tensor, 1, kind);
    bytes(&mut tensor, 2, &shape);
    let mut types = Vec::new();
    bytes(&mut types, 1, &tensor);
    let mut value = Vec::new();
    bytes(&mut value, 1, name.as_bytes());
    bytes(&mut value, 2, &types);
    value
}

fn int(name: &str, value: u64) -> Vec<u8> {
    let mut attribute = Vec::new();
    bytes(&mut attribute, 1, name.as_bytes());
    number(&mut attribute, 3, value);
    number(&mut attribute, 20, 2);
    attribute
}

fn ints(name: &str, values: &[u64]) -> Vec<u8> {
    let mut attribute = Vec::new();
    bytes(&mut attribute, 1, name.as_bytes());
    for value in values {
        number(&mut attribute, 8, *value);
    }
    number(&mut attribute, 20, 7);
    attribute
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// A field that holds a number.
fn number(message: &mut Vec<u8>, field: u64, value: u64) {
    varint(message, field << 3);
    varint(message, value);
}

/// A field that holds a text, bytes or another message.
fn bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(message, field << 3 | 2);
    varint(message, value.len() as u64);
    message.extend_from_slice(value);
}
