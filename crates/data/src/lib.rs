//! Where driftline's images come from: every kind of source behind [`driftline_core::ImageSource`].
//!
//! | location | kind | label |
//! | --- | --- | --- |
//! | `cifar-10-batches-bin`, `cifar-10-batches-py` or their `.tar.gz` | CIFAR-10 as published | name |
//! | `*.parquet`, or a folder of them | Hugging Face image layout | name where known, else index |
//! | `*.npz` | NumPy arrays `arr_0` and `arr_1` | index |
//! | a folder with one folder per class | JPEG, PNG and WebP files | name of the class folder |
//! | a flat folder | JPEG, PNG and WebP files | none |
//! | `sample` | procedural scenes, made in code | name |
//!
//! CIFAR-10 and `sample` have two splits: `#train` or `#test` after the location picks one, `#train` is the default.
//! Each kind has a module of its own that yields rows as they are stored; decoding, resizing and batching happen in
//! one place, in parallel, for all of them, in memory that is reserved before it is used. An [`Album`] leads from the url of a row back to its image.
//!
//! ```no_run
//! use driftline_core::{ImageShape, Resize};
//! use driftline_data::{DecodeOptions, open};
//!
//! let shape = ImageShape { height: 32, width: 32 };
//! let options = DecodeOptions { shape, resize: Resize::Stretch };
//! let mut source = open("cifar-10-batches-bin#test", &options)?;
//! while let Some(batch) = source.next_batch(256)? {
//!     println!("{} images, {} skipped", batch.images.len(), batch.skipped.len());
//! }
//! # Ok::<(), driftline_core::Error>(())
//! ```

mod album;
mod cifar;
mod decode;
mod fingerprint;
mod folder;
mod memory;
mod npz;
mod open;
mod parquet;
mod rows;
pub mod sample;
mod split;

pub use album::{Album, Picture};
pub use cifar::open_cifar10;
pub use decode::DecodeOptions;
pub use open::{SAMPLE_TEST_ROWS, SAMPLE_TRAIN_ROWS, open};
pub use split::Split;
