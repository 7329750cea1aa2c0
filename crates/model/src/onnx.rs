//! A network as an ONNX graph.
//!
//! Opset 17, IR version 8, batch norm folded into the convolutions.
//!
//! | value | dtype and shape | meaning |
//! | --- | --- | --- |
//! | input `images` | f32 `[N, 3, H, W]` | RGB, `(pixel / 255 - mean) / std` |
//! | output `embeddings` | f32 `[N, dim]` | output of `fc.0`, before the ReLU |
//! | output `probabilities` | f32 `[N, classes]` | softmax |
//!
//! `N` is dynamic. The messages below are the part of the ONNX format (<https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>)
//! that such a graph needs.

use driftline_core::ImageShape;
use prost::Message;

use crate::{Conv, Linear, ResNet18};

/// Name of the input.
pub const INPUT: &str = "images";
/// Name of the output with the embeddings.
pub const EMBEDDINGS: &str = "embeddings";
/// Name of the output with the scores.
pub const PROBABILITIES: &str = "probabilities";

const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;
/// `TensorProto.DataType.FLOAT`.
const FLOAT: i32 = 1;
/// `AttributeProto.AttributeType.INT` and `INTS`.
const ATTRIBUTE_INT: i32 = 2;
const ATTRIBUTE_INTS: i32 = 7;

#[derive(Clone, PartialEq, Message)]
struct Model {
    #[prost(int64, tag = "1")]
    ir_version: i64,
    #[prost(string, tag = "2")]
    producer_name: String,
    #[prost(string, tag = "3")]
    producer_version: String,
    #[prost(message, optional, tag = "7")]
    graph: Option<Graph>,
    #[prost(message, repeated, tag = "8")]
    opset_import: Vec<OperatorSet>,
}

#[derive(Clone, PartialEq, Message)]
struct OperatorSet {
    #[prost(string, tag = "1")]
    domain: String,
    #[prost(int64, tag = "2")]
    version: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Graph {
    #[prost(message, repeated, tag = "1")]
    node: Vec<Node>,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(message, repeated, tag = "5")]
    initializer: Vec<Initializer>,
    #[prost(message, repeated, tag = "11")]
    input: Vec<Value>,
    #[prost(message, repeated, tag = "12")]
    output: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Node {
    #[prost(string, repeated, tag = "1")]
    input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    output: Vec<String>,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    op_type: String,
    #[prost(message, repeated, tag = "5")]
    attribute: Vec<Attribute>,
}

#[derive(Clone, PartialEq, Message)]
struct Attribute {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int64, tag = "3")]
    i: i64,
    #[prost(int64, repeated, packed = "false", tag = "8")]
    ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    r#type: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Initializer {
    #[prost(int64, repeated, packed = "false", tag = "1")]
    dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    data_type: i32,
    #[prost(string, tag = "8")]
    name: String,
    #[prost(bytes = "vec", tag = "9")]
    raw_data: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    r#type: Option<Type>,
}

#[derive(Clone, PartialEq, Message)]
struct Type {
    #[prost(message, optional, tag = "1")]
    tensor_type: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
struct TensorType {
    #[prost(int32, tag = "1")]
    elem_type: i32,
    #[prost(message, optional, tag = "2")]
    shape: Option<Shape>,
}

#[derive(Clone, PartialEq, Message)]
struct Shape {
    #[prost(message, repeated, tag = "1")]
    dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
struct Dimension {
    #[prost(oneof = "Length", tags = "1, 2")]
    length: Option<Length>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Length {
    #[prost(int64, tag = "1")]
    Fixed(i64),
    #[prost(string, tag = "2")]
    Named(String),
}

/// The graph of `network` for images of `shape`, as the bytes of an `.onnx` file.
pub fn export(network: &ResNet18, shape: ImageShape) -> Vec<u8> {
    let mut builder = Builder::default();
    let y = builder.conv("stem", INPUT, &network.stem);
    let y = builder.node("Relu", "stem.relu", &[&y], Vec::new());
    let pool = vec![
        ints("kernel_shape", &[3, 3]),
        ints("strides", &[2, 2]),
        ints("pads", &[1, 1, 1, 1]),
    ];
    let mut y = builder.node("MaxPool", "pool", &[&y], pool);
    for (i, block) in network.blocks.iter().enumerate() {
        let name = |part: &str| format!("block{i}.{part}");
        let shortcut = match &block.downsample {
            Some(conv) => builder.conv(&name("downsample"), &y, conv),
            None => y.clone(),
        };
        let x = builder.conv(&name("conv1"), &y, &block.conv1);
        let x = builder.node("Relu", &name("relu1"), &[&x], Vec::new());
        let x = builder.conv(&name("conv2"), &x, &block.conv2);
        let x = builder.node("Add", &name("add"), &[&x, &shortcut], Vec::new());
        y = builder.node("Relu", &name("relu2"), &[&x], Vec::new());
    }
    let y = builder.node("GlobalAveragePool", "mean", &[&y], Vec::new());
    let y = builder.node("Flatten", "flat", &[&y], vec![int("axis", 1)]);
    builder.linear("fc.0", &y, &network.embedding, EMBEDDINGS);
    let y = builder.node("Relu", "fc.1", &[EMBEDDINGS], Vec::new());
    builder.linear("fc.2", &y, &network.head, "logits");
    let softmax = vec![int("axis", -1)];
    builder.named(
        "Softmax",
        PROBABILITIES,
        &["logits"],
        softmax,
        PROBABILITIES,
    );
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "driftline".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        graph: Some(Graph {
            node: builder.nodes,
            name: "resnet18".to_owned(),
            initializer: builder.initializers,
            input: vec![value(INPUT, &[3, shape.height, shape.width])],
            output: vec![
                value(EMBEDDINGS, &[network.dim()]),
                value(PROBABILITIES, &[network.classes()]),
            ],
        }),
        opset_import: vec![OperatorSet {
            domain: String::new(),
            version: OPSET,
        }],
    };
    model.encode_to_vec()
}

#[derive(Default)]
struct Builder {
    nodes: Vec<Node>,
    initializers: Vec<Initializer>,
}

impl Builder {
    /// Adds a node whose output is named as the node, and returns that name.
    fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
    ) -> String {
        self.named(op, name, inputs, attributes, name);
        name.to_owned()
    }

    fn named(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[&str],
        attributes: Vec<Attribute>,
        output: &str,
    ) {
        self.nodes.push(Node {
            input: inputs.iter().map(|input| (*input).to_owned()).collect(),
            output: vec![output.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute: attributes,
        });
    }

    fn initializer(&mut self, name: &str, shape: &[usize], values: &[f32]) {
        self.initializers.push(Initializer {
            dims: shape.iter().map(|length| *length as i64).collect(),
            data_type: FLOAT,
            name: name.to_owned(),
            raw_data: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        });
    }

    fn conv(&mut self, name: &str, input: &str, conv: &Conv) -> String {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        let kernel = conv.kernel;
        let shape = [conv.out_channels, conv.in_channels, kernel, kernel];
        self.initializer(&weight, &shape, &conv.weight);
        self.initializer(&bias, &[conv.out_channels], &conv.bias);
        let (kernel, stride) = (kernel as i64, conv.stride as i64);
        let attributes = vec![
            ints("kernel_shape", &[kernel; 2]),
            ints("strides", &[stride; 2]),
            ints("pads", &[conv.padding as i64; 4]),
        ];
        self.node("Conv", name, &[input, &weight, &bias], attributes)
    }

    fn linear(&mut self, name: &str, input: &str, linear: &Linear, output: &str) {
        let (weight, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        self.initializer(&weight, &[linear.outputs, linear.inputs], &linear.weight);
        self.initializer(&bias, &[linear.outputs], &linear.bias);
        let transposed = vec![int("transB", 1)];
        self.named("Gemm", name, &[input, &weight, &bias], transposed, output);
    }
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: value,
        ints: Vec::new(),
        r#type: ATTRIBUTE_INT,
    }
}

fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute {
        name: name.to_owned(),
        i: 0,
        ints: values.to_vec(),
        r#type: ATTRIBUTE_INTS,
    }
}

/// An f32 input or output of shape `[N, rest…]`.
fn value(name: &str, rest: &[usize]) -> Value {
    let batch = Length::Named("N".to_owned());
    let lengths = rest.iter().map(|length| Length::Fixed(*length as i64));
    Value {
        name: name.to_owned(),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: FLOAT,
                shape: Some(Shape {
                    dim: std::iter::once(batch)
                        .chain(lengths)
                        .map(|length| Dimension {
                            length: Some(length),
                        })
                        .collect(),
                }),
            }),
        }),
    }
}
