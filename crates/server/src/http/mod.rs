//! The server's side of HTTP.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`serve`] | [`Server`](serve::Server): binds, runs, stops |
//! | [`app`] | the router, and what every handler is given |
//! | [`auth`] | the token |
//! | [`limits`] | how much a client may send, and how slowly |
//! | [`seats`] | who may be connected |
//! | [`connection`] | a connection that lets go of a client that does not read |
//! | [`tls`] | certificate and key |
//! | [`observe`] | a log line for each request, `/metrics` |
//! | [`health`] | `/healthz`, `/readyz` |
//! | [`envelope`] | answers and errors in Fiddler's form |
//! | [`v3`] | routes of `fiddler-client` 3 |
//! | [`legacy`] | routes of `fiddler-client` 1 and 2 |
//! | [`queries`] | drift and other numbers, read back |
//! | [`alerts`] | alert rules and their records |
//! | [`page`] | the web page and what it reads |

pub mod alerts;
pub mod app;
pub mod auth;
pub(crate) mod connection;
pub mod envelope;
pub mod health;
pub mod legacy;
pub mod limits;
pub mod observe;
pub mod page;
pub mod queries;
pub(crate) mod seats;
pub mod serve;
pub mod tls;
pub mod v3;
