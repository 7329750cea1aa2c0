//! Files on their way in: written as they arrive, with flat memory, and kept once they are whole.
//!
//! | module | what is in it |
//! | --- | --- |
//! | `folder` | [`Uploads`]: the folder, and the room in it |
//! | `incoming` | [`Incoming`]: a file that is being received |
//! | `parts`, `joining` | parts that become one file |
//!
//! `<store>/.driftline/uploads/<id>` is a whole file, `<id>.<number>` a part of one, `….partial` one that is being
//! received.

mod folder;
mod incoming;
mod joining;
mod parts;

pub(crate) use folder::{Name, Uploads};
pub(crate) use incoming::Incoming;
