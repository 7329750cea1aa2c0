//! Columns of any type as what a row needs; errors name column and row.

use std::sync::Arc;

use arrow_array::builder::Float32Builder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type, TimestampMillisecondType};
use arrow_array::{Array, ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};
use driftline_core::{Error, Result};
use jiff::Timestamp;

use super::vectors;
use crate::domain::error;
use crate::domain::times;

/// Bytes of text in one column of a batch.
const MOST_TEXT: u64 = 256 << 20;

/// Bytes of text when every row has its own: rows of one page may point to the same.
pub(crate) fn unrolled(array: &ArrayRef) -> u64 {
    match array.as_string_view_opt() {
        // The length of a view is in its lowest 32 bits.
        Some(views) => views
            .views()
            .iter()
            .map(|view| u64::from(*view as u32))
            .sum(),
        None => 0,
    }
}

/// A column of a batch whose first row is row `first` of its file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells<'a> {
    name: &'a str,
    array: &'a ArrayRef,
    first: u64,
}

impl<'a> Cells<'a> {
    /// The column with this name, if the batch has it.
    pub(crate) fn find(batch: &'a RecordBatch, name: &'a str, first: u64) -> Option<Self> {
        let array = batch.column_by_name(name)?;
        Some(Self { name, array, first })
    }

    /// A column by itself.
    pub(crate) fn of(name: &'a str, array: &'a ArrayRef, first: u64) -> Self {
        Self { name, array, first }
    }

    /// Finite numbers, none of them null.
    pub(crate) fn numbers(self) -> Result<Float32Array> {
        if unrolled(self.array) > MOST_TEXT {
            return Err(self.wrong(0, "it is not a number"));
        }
        let numbers = self.cast(&DataType::Float32)?;
        let numbers = numbers.as_primitive::<Float32Type>();
        for (row, value) in numbers.iter().enumerate() {
            match value {
                Some(value) if value.is_finite() => {}
                Some(value) => return Err(self.wrong(row, format!("it is {value}"))),
                None => return Err(self.wrong(row, "it is null or not a number")),
            }
        }
        Ok(numbers.clone())
    }

    /// Whole numbers, null where there is none.
    pub(crate) fn integers(self) -> Result<Int64Array> {
        let integers = self.cast(&DataType::Int64)?;
        for row in 0..integers.len() {
            if integers.is_null(row) && !self.array.is_null(row) {
                return Err(self.wrong(row, "it is not a whole number"));
            }
        }
        Ok(integers.as_primitive::<Int64Type>().clone())
    }

    /// Text of anything that is one value, null where there is none.
    pub(crate) fn texts(self) -> Result<StringArray> {
        if self.array.data_type().is_nested() {
            return Err(self.wrong(0, format!("it is {}, not text", self.array.data_type())));
        }
        let grown = unrolled(self.array);
        if grown > MOST_TEXT {
            return Err(self.wrong(
                0,
                format!("its text, and that of the rows after it, has {grown} bytes"),
            ));
        }
        Ok(self.cast(&DataType::Utf8)?.as_string().clone())
    }

    /// Milliseconds since 1970, none of them null, each within [`times::plausible`].
    pub(crate) fn times(self) -> Result<Vec<i64>> {
        let found = self.moments()?;
        let plausible = times::plausible(Timestamp::now());
        let beyond = |ms: &i64| !plausible.contains(ms);
        let Some(row) = found.iter().position(beyond) else {
            return Ok(found);
        };
        let time = match Timestamp::from_millisecond(found[row]) {
            Ok(moment) => moment.to_string(),
            Err(_) => format!("{} ms", found[row]),
        };
        Err(self.wrong(
            row,
            format!(
                "its time is {time}; events are from 1970 to {} years from now",
                times::YEARS_AHEAD
            ),
        ))
    }

    /// Milliseconds since 1970, none of them null.
    fn moments(self) -> Result<Vec<i64>> {
        let length = self.array.len();
        let kind = self.array.data_type();
        let missing = |row| self.wrong(row, "it has no time");
        let epoch = |row, number: i64| {
            times::epoch(number)
                .map(|moment| moment.as_millisecond())
                .map_err(|error| self.wrong(row, error.message()))
        };
        match kind {
            DataType::Timestamp(_, _) | DataType::Date32 | DataType::Date64 => {
                let zone = Some("UTC".into());
                let cast = self.cast(&DataType::Timestamp(TimeUnit::Millisecond, zone))?;
                let moments = cast.as_primitive::<TimestampMillisecondType>();
                let moments = moments.iter().enumerate();
                moments
                    .map(|(row, ms)| ms.ok_or_else(|| missing(row)))
                    .collect()
            }
            kind if kind.is_integer() => {
                let cast = self.cast(&DataType::Int64)?;
                let numbers = cast.as_primitive::<Int64Type>();
                (0..length)
                    .map(|row| match numbers.is_null(row) {
                        true => Err(missing(row)),
                        false => epoch(row, numbers.value(row)),
                    })
                    .collect()
            }
            kind if kind.is_floating() => {
                let cast = self.cast(&DataType::Float64)?;
                let numbers = cast.as_primitive::<Float64Type>();
                (0..length)
                    .map(
                        |row| match numbers.is_null(row) || !numbers.value(row).is_finite() {
                            true => Err(missing(row)),
                            false => epoch(row, numbers.value(row) as i64),
                        },
                    )
                    .collect()
            }
            _ => {
                let texts = self.texts()?;
                (0..length)
                    .map(|row| {
                        if texts.is_null(row) {
                            return Err(missing(row));
                        }
                        let text = texts.value(row);
                        let moment = times::text_moment(text)
                            .or_else(|| times::epoch(text.parse::<f64>().ok()? as i64).ok());
                        let moment = moment.ok_or_else(|| {
                            self.wrong(row, format!("`{text}` is no date and time"))
                        })?;
                        Ok(moment.as_millisecond())
                    })
                    .collect()
            }
        }
    }

    /// Vectors of `dim` finite numbers, row-major.
    pub(crate) fn vectors(self, dim: usize) -> Result<Float32Array> {
        let wrong_length = |row, found: usize| {
            self.wrong(row, format!("its vector has {found} numbers, not {dim}"))
        };
        let values = match self.array.data_type() {
            DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(_, _) => {
                let (values, lengths) = self.lists()?;
                for (row, found) in lengths.into_iter().enumerate() {
                    match found {
                        Some(found) if found == dim => {}
                        Some(found) => return Err(wrong_length(row, found)),
                        None => return Err(self.wrong(row, "its vector is null")),
                    }
                }
                values
            }
            _ => {
                let texts = self.texts()?;
                let mut numbers = Vec::with_capacity(texts.len() * dim);
                for row in 0..texts.len() {
                    if texts.is_null(row) {
                        return Err(self.wrong(row, "its vector is null"));
                    }
                    let found =
                        vectors::parse(texts.value(row), dim, &mut numbers).map_err(|why| {
                            self.wrong(row, format!("its vector cannot be read: {why}"))
                        })?;
                    if found != dim {
                        return Err(wrong_length(row, found));
                    }
                }
                Float32Array::from(numbers)
            }
        };
        for (i, value) in values.iter().enumerate() {
            match value {
                Some(value) if value.is_finite() => {}
                Some(value) => {
                    return Err(self.wrong(
                        i / dim,
                        format!("number {} of its vector is {value}", i % dim),
                    ));
                }
                None => {
                    return Err(
                        self.wrong(i / dim, format!("number {} of its vector is null", i % dim))
                    );
                }
            }
        }
        Ok(values)
    }

    /// The numbers of lists one after the other, and the length of each list.
    pub(crate) fn lists(self) -> Result<(Float32Array, Vec<Option<usize>>)> {
        let array = self.array;
        let rows = 0..array.len();
        let known = |row: usize, length: usize| (!array.is_null(row)).then_some(length);
        let (values, lengths): (ArrayRef, Vec<Option<usize>>) = match array.data_type() {
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let offsets = list.value_offsets();
                let (start, end) = (offsets[0] as usize, offsets[array.len()] as usize);
                let lengths = rows.map(|row| known(row, list.value_length(row) as usize));
                (list.values().slice(start, end - start), lengths.collect())
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let offsets = list.value_offsets();
                let (start, end) = (offsets[0] as usize, offsets[array.len()] as usize);
                let lengths = rows.map(|row| known(row, list.value_length(row) as usize));
                (list.values().slice(start, end - start), lengths.collect())
            }
            DataType::FixedSizeList(_, length) => {
                let length = *length as usize;
                let list = array.as_fixed_size_list();
                let lengths = rows.map(|row| known(row, length));
                (Arc::clone(list.values()), lengths.collect())
            }
            other => return Err(self.wrong(0, format!("it is {other}, not a list"))),
        };
        if !values.data_type().is_numeric() {
            return Err(self.wrong(
                0,
                format!("it is a list of {}, not of numbers", values.data_type()),
            ));
        }
        let cast = Cells {
            array: &values,
            ..self
        }
        .cast(&DataType::Float32)?;
        Ok((cast.as_primitive::<Float32Type>().clone(), lengths))
    }

    fn cast(self, to: &DataType) -> Result<ArrayRef> {
        if self.array.data_type() == to {
            return Ok(Arc::clone(self.array));
        }
        let found = self.array.data_type();
        cast_with_options(self.array, to, &CastOptions::default()).map_err(|_| {
            self.wrong(
                0,
                format!("it is {found}, which is not what this column holds"),
            )
        })
    }

    /// An error at row `row` of this batch.
    pub(crate) fn wrong(self, row: usize, why: impl std::fmt::Display) -> Error {
        let row = self.first + row as u64;
        error::invalid(format!("row {row}, column `{}`: {why}", self.name))
    }
}

/// Scalar columns as the numbers of vectors, row-major.
pub(crate) fn interleaved(columns: &[Float32Array], rows: usize) -> Float32Array {
    let mut values = Float32Builder::with_capacity(rows * columns.len());
    for row in 0..rows {
        for column in columns {
            values.append_value(column.value(row));
        }
    }
    values.finish()
}
