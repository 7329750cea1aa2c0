//! What the server does, whichever way it is asked. Nothing here knows of HTTP.
//!
//! ```text
//! work, layout, retention, tally, times, error        know nobody here
//! catalog, uploads                                    bytes on disk
//! objects, files, datasets, jobs                      documents of the catalog
//! queries, alerts                                     numbers of the store, and rules over them
//! deletion, discovery, housekeeping, integrity        what goes, what came by another way, what is damaged
//! ingest, worker                                      the work of jobs
//! ```
//!
//! | module | what is in it |
//! | --- | --- |
//! | `error` | its errors, and what whoever asked is told of them |
//! | `catalog` | documents and the queue, in `server.db` |
//! | `uploads` | files on their way in |
//! | `layout` | where both are |
//! | `retention` | how much is kept, and for how long |
//! | `model` | a model as the server knows it, whichever client made it |
//! | `objects` | projects, models, environments and baselines, as the catalog keeps them |
//! | `files`, `datasets` | uploads and data sets, as the catalog keeps them |
//! | `work`, `jobs` | what is to be done, and how it went |
//! | `ingest` | uploaded bytes to rows of the store |
//! | `worker` | the thread that does the work |
//! | `tally` | what the worker counts |
//! | `discovery` | what `driftline run` put into the store |
//! | `deletion` | models and projects that are deleted |
//! | `housekeeping` | what is removed when nobody needs it any more |
//! | `integrity` | `server.db` and uploads, checked and repaired |
//! | `queries` | what requests for numbers name, and the counts behind them |
//! | `alerts` | alert rules and their records |
//! | `times` | moments as clients write them |

pub(crate) mod alerts;
pub(crate) mod catalog;
pub(crate) mod datasets;
pub(crate) mod deletion;
pub(crate) mod discovery;
pub(crate) mod error;
pub(crate) mod files;
pub(crate) mod housekeeping;
pub(crate) mod ingest;
pub(crate) mod integrity;
pub(crate) mod jobs;
pub(crate) mod layout;
pub(crate) mod model;
pub(crate) mod objects;
pub(crate) mod queries;
pub(crate) mod retention;
pub(crate) mod tally;
pub(crate) mod times;
pub(crate) mod uploads;
pub(crate) mod work;
pub(crate) mod worker;
