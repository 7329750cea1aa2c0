//! Requests and answers of Fiddler's three generations as serde types.
//!
//! The sink writes the requests and reads the answers, the local server does the opposite, and both use the types of
//! this crate. There is no HTTP here, and nothing is checked but the form.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`v3`] | `fiddler-client` 3: routes `/v3/…` |
//! | [`v2`] | `fiddler-client` 2, and the `/v2/…` routes of `fiddler-client` 1 |
//! | [`legacy`] | the remote calls of `fiddler-client` 1: `/<verb>/<organization>/…` |
//! | `envelope` | [`Envelope`], [`Page`], [`Refusal`], [`Call`]: what every answer is wrapped in |
//! | `job`, `record`, `feature` | [`Job`], [`AlertRecord`], [`CustomFeature`]: the same in more than one generation |
//! | `field`, `parse` | [`Field`]: absent, null or a value; [`parse()`]: JSON to one of the types |
//!
//! # Behavior
//! - What a type has no field for is dropped when it is read, except where the text says that it is kept.
//! - What [`Field`] holds is written back as it was read: absent stays absent, null stays null.
//! - Without a field that is required nothing is read, and the error names it.
//!
//! ```
//! use driftline_fiddler_api::{parse, v3};
//! use serde_json::json;
//!
//! let refused = parse::<v3::NewProject>(json!({"title": "images"})).unwrap_err();
//! assert_eq!(format!("the body {refused}"), "the body has no `name`");
//! let project: v3::NewProject = parse(json!({"name": "images", "color": "red"})).unwrap();
//! assert_eq!(project.name, "images");
//! ```

pub mod legacy;
pub mod v2;
pub mod v3;

mod envelope;
mod feature;
mod field;
mod job;
mod parse;
mod record;

pub use envelope::{Call, Empty, Envelope, EnvelopeKind, Page, Reason, Refusal, Refused};
pub use feature::CustomFeature;
pub use field::Field;
pub use job::{Job, JobStatus};
pub use parse::{Mismatch, parse};
pub use record::{AlertRecord, Severity};
