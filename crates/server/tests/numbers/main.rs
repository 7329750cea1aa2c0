//! Numbers read back, and alerts over them, of a store whose numbers are known.

#![allow(clippy::unwrap_used)]

mod alerts;
mod api;
mod queries;
mod store;
