//! Rows on disk.
//!
//! | module | what is in it |
//! | --- | --- |
//! | [`writer`] | [`write()`], [`write_named`], [`RowsWriter`] and [`NamedWriter`]: rows -> a Parquet file |
//! | [`reader`] | [`RowsReader`]: a Parquet file -> checked rows; [`Footer`], [`EventIds`] and [`IdFilter`] read less |
//! | [`check()`] | what both refuse |
//! | [`table`] | [`write_table`] and [`read_table`]: tables other than rows |
//! | [`pages`] | [`pages::pages`]: what the pages of a Parquet file grow to, before they are read |
//! | [`sha256`] | the digest by which damage is noticed |
//! | [`durable`] | [`write_atomic`] and what the writer stands on: temporary name, sync, rename |
//!
//! A file appears at its name whole or not at all, also when the process is killed or the disk is full. It carries a
//! checksum of its own data, so damage is an error that names the file and never a wrong number.
//!
//! | part of the file | how it is written |
//! | --- | --- |
//! | `target`, `window` | dictionary, zstd level 1: few values, many rows |
//! | other columns | plain, zstd level 1: they hardly repeat, so a dictionary would only cost time |
//! | statistics | whole minima and maxima, so that `event_id` ranges are exact; none for embeddings |
//! | filter | of files in a store: a Bloom filter of `event_id`, in 4 to 8 bytes a row |
//! | metadata | the Arrow schema, so that readers see vectors of fixed length and UTC times; the checksum |

pub mod durable;
pub mod pages;
pub mod reader;
pub mod table;
pub mod writer;

mod checksum;
mod rows;

pub use checksum::sha256;
pub use durable::{create_folder, write_atomic};
pub use reader::{EventIds, Footer, IdFilter, RowsReader};
pub use rows::check;
pub use table::{read_table, write_table};
pub use writer::{NamedWriter, RowsWriter, write, write_named};
