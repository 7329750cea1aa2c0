//! Model packages: what a backend needs to know to run a model, and the weights themselves.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`package`] | [`ModelPackage`]: `model.toml`, or a weights file taken as the seed's model |
//! | [`tensor`] | [`Tensor`]: a shape and f32 values |
//! | [`weights`] | [`Weights`]: named f32 tensors from `.pth` or `.safetensors` |
//! | [`resnet18`] | [`ResNet18`]: the checked architecture, batch norm folded into the convolutions |
//! | [`onnx`] | a [`ResNet18`] as an ONNX graph |
//!
//! No engine is known here: a backend takes a [`ResNet18`] and runs it its own way.

mod external;
#[cfg(feature = "onnx")]
pub mod onnx;
pub mod package;
mod pth;
pub mod resnet18;
pub mod tensor;
pub mod weights;

pub use package::{Graph, GraphContent, ImageLayout, ModelPackage, Preprocessing};
pub use resnet18::{Block, Conv, Linear, ResNet18};
pub use tensor::Tensor;
pub use weights::Weights;
