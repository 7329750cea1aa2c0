//! A restricted reader of Python pickles, protocols 0 to 5, that runs nothing.
//!
//! A pickle is a program for a small stack machine. This reader follows the machine but never imports or calls
//! anything: a name becomes a value that says the name, a call becomes a value that says what would be called with
//! which arguments. It knows the opcodes that NumPy arrays, CIFAR-10 batches and PyTorch state dicts are made of;
//! any other opcode is an error.
//!
//! | module | content |
//! | --- | --- |
//! | `machine` | bytes to nodes: the stack, the memo and the opcodes |
//! | `value` | [`Pickle`] and [`Value`]: reading what was built |
//!
//! Time is linear in the length of the input: values live in one arena and refer to each other by index, so a value
//! that the memo repeats is kept once. Memory is what the caller's [`Budget`](driftline_core::Budget) allows. A value
//! that contains itself, or is nested deeper than [`MAX_DEPTH`], is refused.
//!
//! ```
//! // pickle.dumps({"labels": [3, 5]}, protocol=2)
//! let bytes = b"\x80\x02}q\x00X\x06\x00\x00\x00labelsq\x01]q\x02(K\x03K\x05es.";
//! let mut budget = driftline_core::Budget::new(1 << 20);
//! let pickle = driftline_pickle::parse(bytes, &|_, _| false, &mut budget)?;
//! let labels = pickle.root().get("labels").and_then(|v| v.items()).unwrap();
//! assert_eq!(labels.filter_map(|v| v.as_i64()).collect::<Vec<_>>(), [3, 5]);
//! # Ok::<(), driftline_core::Error>(())
//! ```

mod machine;
mod value;

pub use machine::parse;
pub use value::{Call, MAX_ARGS, Pickle, Value};

/// Deepest nesting of values that is accepted; state dicts need about 8.
pub const MAX_DEPTH: usize = 64;
