//! An uploaded file as batches of loosely typed columns. What it is, its first bytes say, never its name.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use arrow_schema::SchemaRef;
use driftline_core::Result;

use super::batches::Batches;
use super::{csv, parquet};
use crate::domain::error::{self, disk};

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Parquet.
    Parquet,
    /// Comma-separated text.
    Csv,
}

impl Format {
    /// Looks at the first bytes of a file.
    pub fn of(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(disk)?;
        Self::sniff(&mut file)
    }

    fn sniff(file: &mut File) -> Result<Self> {
        let mut head = Vec::new();
        file.take(4).read_to_end(&mut head).map_err(disk)?;
        file.seek(SeekFrom::Start(0)).map_err(disk)?;
        Ok(match head.as_slice() {
            b"PAR1" => Self::Parquet,
            _ => Self::Csv,
        })
    }
}

/// A file that can be read. Opening it reads the names of its columns only.
#[derive(Debug)]
pub(crate) enum Table {
    Parquet(parquet::ParquetTable),
    Csv(csv::CsvTable),
}

impl Table {
    /// Opens a file.
    ///
    /// # Errors
    /// `InvalidData` if it is neither Parquet nor CSV, is damaged, has a column twice, or would grow beyond all bounds.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut file = File::open(path).map_err(disk)?;
        let table = match Format::sniff(&mut file)? {
            Format::Parquet => Self::Parquet(parquet::ParquetTable::open(file)?),
            Format::Csv => Self::Csv(csv::CsvTable::open(file)?),
        };
        let mut names: Vec<&str> = table
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().as_str())
            .collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let message = format!("the file has the column `{}` twice", pair[0]);
            return Err(error::invalid(message));
        }
        drop(names);
        Ok(table)
    }

    /// Its columns; those of a CSV file are all text.
    pub(crate) fn schema(&self) -> &SchemaRef {
        match self {
            Self::Parquet(table) => table.schema(),
            Self::Csv(table) => table.schema(),
        }
    }

    /// The rows of some columns, in order; names that are not there are passed over. `dim` is the length that a vector
    /// has, if that is known, and decides how many rows a batch may have.
    pub(crate) fn batches(self, columns: &[&str], dim: usize) -> Result<Batches> {
        let wanted: Vec<usize> = (0..)
            .zip(self.schema().fields())
            .filter(|(_, field)| columns.contains(&field.name().as_str()))
            .map(|(index, _)| index)
            .collect();
        match self {
            Self::Parquet(table) => table.batches(&wanted, dim),
            Self::Csv(table) => table.batches(wanted),
        }
    }
}
