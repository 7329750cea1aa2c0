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
//! | `domain` | what the server does: catalog, uploads, jobs, rows, numbers, alerts |
//! | `http` | how it is asked: routes, answers, connections |
//! | [`limits`] | how much a client may send, and how slowly |
//! | [`tls`] | certificate and key |
//! | [`system`] | open files and space on the disk |
//! | [`logs`] | the log |

mod domain;
#[doc(hidden)]
pub mod fuzzing;
mod http;
pub mod logs;
pub mod system;

pub use domain::integrity::{check, repair};
pub use http::app::App;
pub use http::serve::{ServeConfig, Server, Shutdown};
pub use http::{limits, tls};

/// The version of Fiddler that clients are told.
pub const FIDDLER_VERSION: &str = "25.2.0";
