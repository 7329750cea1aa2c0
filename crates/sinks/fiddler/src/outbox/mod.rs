//! Rows on their way: what was accepted stays on disk until the server has it.
//!
//! ```text
//! <store>/.driftline/outbox/<project>/<model>/
//!   outbox.db                 what is in which state, and every event_id ever accepted
//!   segments/….parquet        accepted rows, one file a publish call
//!   dead-letter/….parquet     rows that the server's job failed on, each with a .json that says why
//!   damaged/….parquet         segments that cannot be read, each with a .json that says why
//!   deliver.lock              one process delivers at a time
//! ```
//!
//! A segment is what one call brought; a batch is what one job of the server takes: segments of one kind that follow
//! each other. A batch keeps its segments for good, so that it is the same after a crash; only a damaged segment ends it.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `state` | [`Outbox`]: what it is for, and whether the server has had anything of it |
//! | `place` | where it is, what its files are called, and who may deliver from it |
//! | `accept` | rows and labels that are accepted |
//! | [`order`] | which batch is next |
//! | `deliver`, `halve` | how the delivery of a batch goes; one that is too large becomes two |
//! | `list` | what waits, as people are shown it |
//! | [`quarantine`], `leftovers` | damaged segments are moved aside; files that no row names are removed |
//! | `segments` | what several of these do in the database |

pub(crate) mod order;
pub(crate) mod quarantine;

mod accept;
mod deliver;
mod halve;
mod leftovers;
mod list;
mod place;
mod segments;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use place::{DATABASE, REPAIRED, SEGMENTS, busy, folder, is_lost, root, try_lock};
pub(crate) use state::Outbox;
