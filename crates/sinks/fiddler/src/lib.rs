//! Publishes baseline and events to Fiddler through a durable outbox.
//!
//! ```text
//! publish ──▶ outbox (SQLite + Parquet) ──▶ courier (a thread) ──▶ wire (V3 or V2) ──▶ Fiddler
//!             durable when it returns       batch by batch         upload, ingest, job
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`sink`] | [`FiddlerSink`]: accepts rows, wakes the courier, flushes |
//! | [`status`] | [`outboxes()`] and [`reachability()`]: what waits, and who is at the other end |
//! | [`queue`] | [`entries()`], [`retry()`] and [`skip()`]: what waits and what was taken out, batch by batch, and what to do with it |
//! | [`repair`](mod@repair) | [`check()`] and [`repair()`]: what is damaged on this disk |
//! | `config`, `token` | options, defaults, bounds; where the token comes from and that it is never shown |
//! | `outbox`, `database`, `batch` | rows on disk until the server has them; which batch is next; damaged segments |
//! | `dead_letter`, `note` | rows that it did not take, and why |
//! | `courier` | delivery, resumed where it ended |
//! | `wire` | routes of both generations, whose bodies are those of `driftline-fiddler-api`; models that are there already |
//! | `body`, `text` | uploads: Parquet as Fiddler's own client writes it; numbers as Python writes them |
//! | `http`, `request`, `connection` | sending and repeating; what is asked; whom a connection trusts and why it failed |
//! | `answer`, `pace` | what an answer means; quotas and waits |
//!
//! # Guarantees
//! - When a publish call returns, its rows survive the end of the process and of the machine's power.
//! - A batch that cannot be delivered keeps its place, and whatever does not depend on it passes it.
//! - Every row arrives at least once, and a server that knows rows by `event_id` has it once.
//! - A token is in no file, no message and no log.

pub mod queue;
pub mod repair;
pub mod sink;
pub mod status;

mod answer;
mod batch;
mod body;
mod config;
mod connection;
mod courier;
mod database;
mod dead_letter;
mod http;
mod note;
mod outbox;
mod pace;
mod request;
mod text;
mod token;
mod wire;

pub use config::URL_VARIABLE;
pub use queue::{Entry, Retried, Skipped, State, entries, retry, skip};
pub use repair::{check, repair};
pub use sink::FiddlerSink;
pub use status::{OutboxStatus, outbox_folders, outbox_status, outboxes, reachability};
pub use token::TOKEN_VARIABLE;
pub use wire::Server;

use driftline_core::{MonitorSink, Registration, Registry, Result, SinkConfig};

/// Registers the sink as `fiddler`.
pub fn register(registry: &mut Registry<SinkConfig, Box<dyn MonitorSink>>) -> Result<()> {
    registry.register(Registration::built_in(
        "fiddler",
        &[],
        "a Fiddler server, through a durable outbox",
        |config| Ok(Box::new(FiddlerSink::open(config)?) as Box<dyn MonitorSink>),
    ))
}
