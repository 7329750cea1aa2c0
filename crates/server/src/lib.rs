//! The store behind an API that Fiddler's clients speak, and a web page.
//!
//! ```text
//! client ──▶ router (auth, limits, observe) ──▶ v3 | legacy | queries | alerts | page
//!                                                 │
//!                 uploads, catalog ◀──────────────┤        every write is durable before it is answered
//!                          │                      ▼
//!                          └──────────────▶ jobs ──▶ ingest ──▶ the store (LocalSink)
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | `domain` | what the server does: catalog, uploads, jobs, rows, numbers, alerts |
//! | `http` | how it is asked: connections, routes, answers |
//! | `system` | open files and space on the disk |
//! | `logs` | the log |

mod domain;
#[doc(hidden)]
pub mod fuzzing;
mod http;
mod logs;
mod system;

pub use domain::integrity::{check, repair};
pub use domain::retention::Retention;
pub use http::envelope::FIDDLER_VERSION;
pub use http::limits::Limits;
pub use http::serve::{ServeConfig, Server};
pub use http::shutdown::Shutdown;
pub use http::tls::TlsFiles;
pub use logs::{Log, json_logs};
pub use system::raise_open_files;
