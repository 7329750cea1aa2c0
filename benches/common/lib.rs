//! What the benches share.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`arguments`] | which measurements the command line selects |
//! | [`threads`] | one number of threads for a whole process |
//! | [`header`] | the line that says what was measured |
//! | [`opening`] | plugins, backends, model and images |
//! | [`rows`] | rows to publish |

pub mod arguments;
pub mod header;
pub mod opening;
pub mod rows;
pub mod threads;
