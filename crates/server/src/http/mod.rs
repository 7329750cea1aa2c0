//! How the server is asked, and how it answers.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `serve` | [`Server`](serve::Server): binds, runs, stops |
//! | `accept`, `seats` | connections, and who may have one |
//! | `shutdown`, `tls` | how it is told to stop; certificate and key |
//! | `router` | every route, behind the layers that all of them need |
//! | `app` | what the routes of the API are given |
//! | `auth` | the token |
//! | `limits` | how much a client may send, and how slowly |
//! | `observe` | a log line for each request, `/metrics` |
//! | `health` | `/healthz`, `/readyz` |
//! | `envelope` | answers and errors in Fiddler's form |
//! | `blocking`, `receive` | work that may block, files that are received |
//! | `v3` | routes of `fiddler-client` 3 |
//! | `legacy` | routes of `fiddler-client` 1 and 2 |
//! | `queries` | drift and other numbers, read back |
//! | `alerts` | alert rules and their records |
//! | `page` | the web page and what it reads |

mod accept;
mod alerts;
mod app;
mod auth;
mod blocking;
pub(crate) mod envelope;
mod health;
mod legacy;
pub(crate) mod limits;
mod observe;
mod page;
mod queries;
mod receive;
mod router;
mod seats;
pub(crate) mod serve;
pub(crate) mod shutdown;
pub(crate) mod tls;
pub(crate) mod v3;
