//! What every part of driftline shares, and nothing else.
//!
//! A drift transform, registered and made by name:
//!
//! ```
//! use driftline_core::{
//!     DriftTransform, ImageBatch, ImageShape, Registration, Registry, Result, TransformContext, TransformInfo,
//!     TransformSpec,
//! };
//!
//! struct Invert(TransformInfo);
//!
//! impl DriftTransform for Invert {
//!     fn info(&self) -> &TransformInfo {
//!         &self.0
//!     }
//!
//!     fn apply(&self, images: &mut ImageBatch, _: &TransformContext<'_>) -> Result<()> {
//!         for value in images.images_mut().flatten() {
//!             *value = 255 - *value;
//!         }
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let mut registry: Registry<TransformSpec, Box<dyn DriftTransform>> = Registry::new("transform");
//! registry.register(Registration::built_in("invert", &[], "the negative of the image", |spec: &TransformSpec| {
//!     spec.resolve(&[])?;
//!     let info = TransformInfo { name: spec.name.clone(), expression: spec.to_string() };
//!     Ok(Box::new(Invert(info)) as Box<dyn DriftTransform>)
//! }))?;
//!
//! let spec = &TransformSpec::parse_list("invert")?[0];
//! let invert = registry.build(&spec.name, spec)?;
//! let mut images = ImageBatch::new(ImageShape { height: 1, width: 1 }, vec![0, 100, 255])?;
//! invert.apply(&mut images, &TransformContext { seed: 42, rows: &[0] })?;
//! assert_eq!(images.as_bytes(), [255, 155, 0]);
//!
//! let error = registry.find("invret").err().expect("no such transform");
//! assert_eq!(
//!     error.to_string(),
//!     "there is no transform named `invret`; available: invert"
//! );
//! # Ok(())
//! # }
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`source`] | [`ImageSource`]: where labelled images come from |
//! | [`image`] | [`ImageBatch`] and [`ImageView`]: checked u8 images |
//! | [`transform`] | [`DriftTransform`]: image -> image, seeded by row |
//! | [`backend`] | [`EmbeddingBackend`]: images -> embeddings and scores |
//! | [`parts`] | [`Parts`]: a batch in parts that fit into a device's memory |
//! | [`rows`] | the Arrow schema that travels from backend to sink |
//! | [`sink`] | [`MonitorSink`]: where baseline and events go |
//! | [`origin`] | [`RowOrigin`]: what made rows, and whether others may be compared with them |
//! | [`registry`] | name -> constructor, for all of the above |
//! | [`budget`] | [`Budget`]: the memory that reading one file may take |
//! | [`finding`] | [`Finding`]: what a check of durable files found |
//! | [`error`] | the one error type |
//!
//! This crate knows no engine, no file format and no network: implementations depend on it, never the reverse.

pub mod backend;
pub mod budget;
pub mod error;
pub mod finding;
pub mod image;
pub mod origin;
pub mod parts;
pub mod registry;
pub mod rows;
pub mod sink;
pub mod source;
pub mod transform;

pub use backend::{
    BackendConfig, BackendInfo, Device, EmbeddingBackend, Engine, Inference, InferenceMut,
    Precision,
};
pub use budget::{Budget, Exceeded};
pub use error::{Error, ErrorKind, Result};
pub use finding::Finding;
pub use image::{ImageBatch, ImageShape, ImageView, Resize};
pub use origin::RowOrigin;
pub use parts::Parts;
pub use registry::{Registration, Registry};
pub use rows::{Row, RowSchema, Rows, RowsBuilder};
pub use sink::{Ack, EventLabel, MonitorSink, MonitorSpec, SinkConfig, SinkInfo};
pub use source::{ImageSource, Label, SkippedImage, SourceBatch, SourceInfo, SourceRow};
pub use transform::{DriftTransform, TransformContext, TransformInfo, TransformSpec};
