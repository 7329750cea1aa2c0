//! Numbers read back, and alerts over them, of a store whose numbers are known.

mod alerts;
mod api;
mod queries;
mod store;
