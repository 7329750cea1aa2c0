//! Write a driftline plugin in Rust: implement the ordinary trait of [`core`], say how it is made, and export it.
//!
//! ```
//! use driftline_plugin_sdk::core::{DriftTransform, ImageBatch, Result, TransformContext, TransformInfo};
//! use driftline_plugin_sdk::{TransformPlugin, export_plugin};
//!
//! /// Parameters, as in `invert(amount=0.5)`.
//! #[derive(serde::Deserialize, schemars::JsonSchema)]
//! #[serde(deny_unknown_fields)]
//! struct Parameters {
//!     /// 0 changes nothing, 1 inverts.
//!     amount: f32,
//! }
//!
//! struct Invert {
//!     info: TransformInfo,
//!     amount: f32,
//! }
//!
//! impl DriftTransform for Invert {
//!     fn info(&self) -> &TransformInfo {
//!         &self.info
//!     }
//!
//!     fn apply(&self, images: &mut ImageBatch, _: &TransformContext<'_>) -> Result<()> {
//!         for pixel in images.images_mut().flatten() {
//!             let value = f32::from(*pixel);
//!             *pixel = (value + self.amount * (255.0 - 2.0 * value)).round() as u8;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! impl TransformPlugin for Invert {
//!     const NAME: &'static str = "invert";
//!     const SUMMARY: &'static str = "the negative of the image";
//!     const PARAMETERS: &'static [&'static str] = &["amount"];
//!     type Parameters = Parameters;
//!
//!     fn new(parameters: Parameters) -> Result<Self> {
//!         let amount = parameters.amount;
//!         let expression = format!("invert(amount={amount})");
//!         Ok(Self { info: TransformInfo { name: Self::NAME.to_owned(), expression }, amount })
//!     }
//! }
//!
//! export_plugin! { transforms: [Invert] }
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`embedding`] | [`EmbeddingPlugin`]: an `EmbeddingBackend` as a table |
//! | [`transform`] | [`TransformPlugin`]: a `DriftTransform` as a table |
//! | [`sink`] | [`SinkPlugin`]: a `MonitorSink` as a table |
//! | `shim` | what all kinds have in common |
//! | [`export`] | what [`export_plugin!`] expands to |
//!
//! A panic becomes an error that names it, and the instance in which it happened is not entered again. What is logged
//! with the `log` crate goes to the host.

mod arguments;
pub mod embedding;
pub mod export;
mod guard;
mod instance;
mod logger;
mod shim;
pub mod sink;
pub mod transform;

pub use arrow_array;
pub use driftline_abi as abi;
pub use driftline_core as core;
pub use embedding::EmbeddingPlugin;
pub use log;
pub use schemars;
pub use sink::SinkPlugin;
pub use transform::TransformPlugin;
