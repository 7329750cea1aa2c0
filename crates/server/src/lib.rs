//! The store behind an API that Fiddler's clients speak, and a web page.
//!
//! ```text
//! client ──▶ app (auth, limits, observe) ──▶ v3 | legacy | queries | alerts | page
//!                                              │
//!              uploads, catalog ◀──────────────┤        every write is durable before it is answered
//!                       │                      ▼
//!                       └──────────────▶ jobs ──▶ ingest ──▶ the store (LocalSink)
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`serve`] | [`Server`]: binds, runs, stops; [`ServeConfig`] |
//! | [`app`] | the router, and what every handler is given: [`App`] |
//! | [`auth`] | the token |
//! | [`limits`] | how much a client may send, and how slowly |
//! | `seats` | who may be connected |
//! | `connection` | a connection that lets go of a client that does not read |
//! | [`tls`] | certificate and key |
//! | [`system`] | open files and space on the disk |
//! | [`logs`] | the log |
//! | [`observe`] | a log line for each request, `/metrics` |
//! | [`health`] | `/healthz`, `/readyz` |
//! | [`envelope`] | answers and errors in Fiddler's form |
//! | [`catalog`] | documents in `server.db` |
//! | [`uploads`] | files on their way in |
//! | [`jobs`] | the durable queue and its one worker |
//! | [`housekeeping`] | what is removed when nobody needs it any more |
//! | [`integrity`] | `server.db` and uploads, checked and repaired |
//! | [`model`] | a model as the server knows it, whichever client made it |
//! | [`objects`] | projects, models, environments and baselines, as the catalog keeps them |
//! | [`ingest`] | uploaded bytes to rows of the store |
//! | [`v3`] | routes of `fiddler-client` 3 |
//! | [`legacy`] | routes of `fiddler-client` 1 and 2 |
//! | [`queries`] | drift and other numbers, read back |
//! | [`alerts`] | alert rules and their records |
//! | [`page`] | the web page and what it reads |

pub mod alerts;
pub mod app;
pub mod auth;
pub mod catalog;
mod connection;
pub mod envelope;
#[doc(hidden)]
pub mod fuzzing;
pub mod health;
pub mod housekeeping;
pub mod ingest;
pub mod integrity;
pub mod jobs;
pub mod legacy;
pub mod limits;
pub mod logs;
pub mod model;
pub mod objects;
pub mod observe;
pub mod page;
pub mod queries;
mod seats;
pub mod serve;
pub mod system;
pub mod tls;
pub mod uploads;
pub mod v3;

pub use app::App;
pub use integrity::{check, repair};
pub use serve::{ServeConfig, Server, Shutdown};

/// The version of Fiddler that clients are told.
pub const FIDDLER_VERSION: &str = "25.2.0";
