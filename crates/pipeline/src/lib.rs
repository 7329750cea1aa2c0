//! From images to published rows and drift statistics.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`mod@embed`] | images -> embeddings: reader, backend and consumer on separate threads, bounded queues between |
//! | [`part`] | embedded rows in parts of fixed extent, kept on disk so that a stopped run resumes |
//! | [`schedule`] | which image becomes an event on which day |
//! | [`run`] | baseline, windows, sink and statistics in order |
//! | [`profiles`] | what a run keeps of its rows: sums of each day, as one file |
//! | [`summary`] | the result, as it is printed and written |
//! | [`control`] | progress and cancellation |
//!
//! Memory is set by batch size, queue depth and part size, not by the number of images. What is written does not
//! depend on batch size or threads.

pub mod control;
pub mod embed;
pub mod part;
pub mod profiles;
pub mod run;
pub mod schedule;
pub mod summary;

pub use control::{Cancel, Progress};
pub use embed::{EmbedOptions, Embedded, OnError, embed};
pub use part::RunFolder;
pub use run::{Baseline, Run, Window};
pub use schedule::Schedule;
pub use summary::Summary;
