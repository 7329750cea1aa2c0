//! What the server does, whichever way it is asked.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`catalog`] | documents in `server.db` |
//! | [`uploads`] | files on their way in |
//! | [`jobs`] | the durable queue and its one worker |
//! | [`housekeeping`] | what is removed when nobody needs it any more |
//! | [`integrity`] | `server.db` and uploads, checked and repaired |
//! | [`model`] | a model as the server knows it, whichever client made it |
//! | [`objects`] | projects, models, environments and baselines, as the catalog keeps them |
//! | [`ingest`] | uploaded bytes to rows of the store |
//! | [`alerts`] | alert rules and their records |
//! | [`queries`] | what requests for numbers name, and the counts behind them |
//! | [`times`] | moments as clients write them |

pub mod alerts;
pub mod catalog;
pub mod housekeeping;
pub mod ingest;
pub mod integrity;
pub mod jobs;
pub mod model;
pub mod objects;
pub mod queries;
pub mod times;
pub mod uploads;
