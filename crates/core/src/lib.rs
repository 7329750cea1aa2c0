//! What every part of driftline shares, and nothing else.
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
//! | [`origin`] | [`Origin`]: what made rows, and whether others may be compared with them |
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
pub use origin::Origin;
pub use parts::Parts;
pub use registry::{Registration, Registry};
pub use rows::{Row, RowSchema, Rows, RowsBuilder};
pub use sink::{Ack, EventLabel, MonitorSink, MonitorSpec, SinkConfig, SinkInfo};
pub use source::{ImageSource, Label, SkippedImage, SourceBatch, SourceInfo, SourceRow};
pub use transform::{DriftTransform, TransformContext, TransformInfo, TransformSpec};
