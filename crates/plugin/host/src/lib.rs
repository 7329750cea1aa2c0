//! Finds plugins, loads them, and makes what they offer look like the ordinary traits.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`manifest`] | [`Manifest`]: what a plugin says about itself, read without running it |
//! | [`mod@search`] | [`search()`]: the folders that are looked in, and what was there |
//! | [`library`] | [`Library`]: a loaded plugin, its metadata and components |
//! | [`trust`] | who can change a file |
//! | [`lock`] | [`Lock`]: the plugins that the operator trusts |
//! | [`embedding`] | [`PluginBackend`]: a component as an `EmbeddingBackend` |
//! | [`transform`] | [`PluginTransform`]: a component as a `DriftTransform` |
//! | [`sink`] | [`PluginSink`]: a component as a `MonitorSink` |
//! | `instance`, `schema`, `tensor` | what kinds share: a created component, its configuration, tensors over slices |
//! | [`message`] | errors and texts of a plugin |
//!
//! A native plugin is code with all rights of the host. A library is loaded once in a process and stays loaded.

pub mod embedding;
mod instance;
pub mod library;
pub mod lock;
pub mod manifest;
pub mod message;
mod schema;
pub mod search;
pub mod sink;
mod tensor;
pub mod transform;
pub mod trust;

pub use embedding::PluginBackend;
pub use library::{Component, Library, Policy, Probe};
pub use lock::Lock;
pub use manifest::{ComponentKind, Manifest};
pub use search::{Found, Search, search};
pub use sink::PluginSink;
pub use transform::PluginTransform;
