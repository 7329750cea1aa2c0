//! The C interface between driftline and its plugins, version 1. `include/driftline_plugin.h` is the same in C.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`types`] | strings, errors, tensors, the plugin and its components |
//! | [`tables`] | the function tables of a transform, an embedding backend and a sink |
//! | [`codes`] | status, kind and flag values |
//! | [`layout`] | size and offsets of every struct, checked here and in the header |
//!
//! # Rules
//! - Every struct begins with `struct_size`, written by whoever fills it; a reader touches a member only if it lies
//!   wholly inside. New members come at the end; nothing is reordered, retyped or removed within a major version.
//! - Codes and flags are `u32` words; an unknown one is legal and means "other".
//! - Strings are UTF-8, not NUL-terminated, borrowed for the call, and validated on arrival.
//! - Nobody frees the other's memory: borrowed for the call, written into what the caller allocated, or freed by a
//!   function of the module that made it.
//! - No function unwinds out of its module.
//!
//! # Versions
//! The major version is in the name of the entry function, the minor version in [`DlHost`] and [`DlPlugin`]; both are
//! apart from the versions of the crates.
//!
//! | version | what changed |
//! | --- | --- |
//! | 1.0 | the first |
//! | 1.1 | labels of events: [`DlSinkTable::publish_labels`] |

pub mod codes;
pub mod layout;
pub mod tables;
pub mod types;

pub use tables::{DlEmbeddingTable, DlInstance, DlLeadingTable, DlSinkTable, DlTransformTable};
pub use types::{
    DlCall, DlComponent, DlEntry, DlError, DlHost, DlPlugin, DlStr, DlTensor, DlTensorMut, DlWriter,
};

/// Major version: a plugin for another one is refused.
pub const ABI_MAJOR: u32 = 1;

/// Minor version: members that were added since the major version are told apart by `struct_size`.
pub const ABI_MINOR: u32 = 1;

/// The only symbol a plugin exports, a [`DlEntry`]. The suffix is [`ABI_MAJOR`].
pub const ENTRY: &str = "driftline_plugin_v1";
