//! Profiles as Arrow columns, one row a bucket of time.
//!
//! | column | type | meaning |
//! | --- | --- | --- |
//! | `version` | u32 | [`PROFILE_VERSION`] |
//! | `plan` | utf8 | fingerprint of the plan; rows of one plan can be added up |
//! | `window` | utf8 | name of the window |
//! | `start`, `end` | timestamp(ms, UTC) | the time covered, without `end` |
//! | `rows` | u64 | rows summed up |
//! | `embedding_sum` | `list<f64>` | sum of `x`, `[dim]` |
//! | `embedding_products` | `list<f64>` | lower triangle of the sum of `x xᵀ`, row by row |
//! | `embedding_cubes` | `list<f64>` | sum of `abs(x)² x`, `[dim]` |
//! | `embedding_fourth` | f64 | sum of `abs(x)⁴` |
//! | `clusters` | `list<u64>` | rows in each cluster |
//! | `classes` | `list<u64>` | rows for which each class has the best score |
//! | `property_rows` | u64 | rows with image properties |
//! | `property_sum`, `…_products`, `…_cubes`, `…_fourth` | as above | the same sums of the image properties |
//! | `property_bins` | `list<u64>` | rows in each bin of each property, one property after the other |

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, PrimitiveBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Float64Type, TimestampMillisecondType, UInt32Type, UInt64Type,
};
use arrow_array::{
    Array, ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
    UInt32Array, UInt64Array,
};
use arrow_schema::{DataType, Field};
use driftline_core::{Error, ErrorKind, Result};

use super::sums::{PROFILE_VERSION, PROPERTY_BINS, Profile};
use crate::Moments;

/// A profile with the window and the time that its rows are from.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Name of the window.
    pub window: String,
    /// First moment, in milliseconds since 1970-01-01T00:00:00Z.
    pub start_ms: i64,
    /// The moment after the last.
    pub end_ms: i64,
    /// The sums over its rows.
    pub profile: Profile,
}

/// Writes buckets as rows.
///
/// # Errors
/// `Internal` if Arrow refuses the columns, which are too many then.
pub fn buckets_to_batch(buckets: &[Bucket]) -> Result<RecordBatch> {
    let profiles = || buckets.iter().map(|bucket| &bucket.profile);
    let texts = |text: fn(&Bucket) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(buckets.iter().map(text)))
    };
    let times = |time: fn(&Bucket) -> i64| -> ArrayRef {
        let times = TimestampMillisecondArray::from_iter_values(buckets.iter().map(time));
        Arc::new(times.with_timezone("UTC"))
    };
    let counts = |count: fn(&Profile) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(profiles().map(count)))
    };
    let count_lists = |counts: fn(&Profile) -> &[u64]| -> ArrayRef {
        lists::<UInt64Type>(DataType::UInt64, profiles().map(counts))
    };
    let versions = profiles().map(|profile| profile.version);
    let mut columns = vec![
        (
            "version",
            Arc::new(UInt32Array::from_iter_values(versions)) as ArrayRef,
        ),
        ("plan", texts(|bucket| &bucket.profile.plan)),
        ("window", texts(|bucket| &bucket.window)),
        ("start", times(|bucket| bucket.start_ms)),
        ("end", times(|bucket| bucket.end_ms)),
        ("rows", counts(Profile::rows)),
    ];
    columns.extend(sums(
        EMBEDDING,
        profiles().map(|profile| &profile.embeddings),
    ));
    columns.push(("clusters", count_lists(|profile| &profile.clusters)));
    columns.push(("classes", count_lists(|profile| &profile.classes)));
    columns.push(("property_rows", counts(|profile| profile.properties.rows())));
    columns.extend(sums(
        PROPERTY,
        profiles().map(|profile| &profile.properties),
    ));
    columns.push(("property_bins", count_lists(|profile| &profile.bins)));
    let columns = columns
        .into_iter()
        .map(|(name, values)| (name, values, false));
    RecordBatch::try_from_iter_with_nullable(columns).map_err(|cause| {
        let message = "the sums do not fit into columns";
        Error::new(ErrorKind::Internal, "write profiles", message).because(cause)
    })
}

/// Names of the columns of moments: sum, products, cubes, fourth.
type SumNames = [&'static str; 4];

const EMBEDDING: SumNames = [
    "embedding_sum",
    "embedding_products",
    "embedding_cubes",
    "embedding_fourth",
];

const PROPERTY: SumNames = [
    "property_sum",
    "property_products",
    "property_cubes",
    "property_fourth",
];

fn sums<'a>(
    [sum, products, cubes, fourth]: SumNames,
    moments: impl Iterator<Item = &'a Moments> + Clone,
) -> [(&'static str, ArrayRef); 4] {
    let list = |values: fn(&Moments) -> &[f64]| {
        lists::<Float64Type>(DataType::Float64, moments.clone().map(values))
    };
    let fourths = moments.clone().map(|moments| moments.fourth);
    [
        (sum, list(|moments| &moments.sum)),
        (products, list(|moments| &moments.products)),
        (cubes, list(|moments| &moments.cubes)),
        (fourth, Arc::new(Float64Array::from_iter_values(fourths))),
    ]
}

fn lists<'a, T: ArrowPrimitiveType>(
    element: DataType,
    rows: impl Iterator<Item = &'a [T::Native]>,
) -> ArrayRef {
    let element = Field::new("element", element, false);
    let mut builder = ListBuilder::new(PrimitiveBuilder::<T>::new()).with_field(element);
    for row in rows {
        builder.values().append_slice(row);
        builder.append(true);
    }
    Arc::new(builder.finish())
}

/// Reads buckets back; other columns are passed over.
///
/// # Errors
/// `InvalidData` naming row and column: one is missing, of another type, null, of the wrong length, not finite, or its counts
/// do not add up to the rows. `Unsupported` for profiles of another version.
pub fn buckets_from_batch(batch: &RecordBatch) -> Result<Vec<Bucket>> {
    (0..batch.num_rows())
        .map(|row| Row { batch, row }.bucket())
        .collect()
}

/// One row to read.
struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl Row<'_> {
    fn bucket(&self) -> Result<Bucket> {
        let version = self.value::<UInt32Type>("version")?;
        if version != PROFILE_VERSION {
            let message =
                format!("a profile has version {version}, this driftline reads {PROFILE_VERSION}");
            return Err(Error::new(ErrorKind::Unsupported, "read profiles", message)
                .with("row", self.row)
                .remedy("do the run again with this driftline"));
        }
        let rows = self.value::<UInt64Type>("rows")?;
        let embeddings = self.moments(rows, EMBEDDING)?;
        let property_rows = self.value::<UInt64Type>("property_rows")?;
        let properties = self.moments(property_rows, PROPERTY)?;
        let (clusters, classes) = (self.counts("clusters")?, self.counts("classes")?);
        let bins = self.counts("property_bins")?;
        self.adds_up("clusters", &clusters, rows)?;
        if !classes.is_empty() {
            self.adds_up("classes", &classes, rows)?;
        }
        self.length("property_bins", &bins, PROPERTY_BINS * properties.dim())?;
        for bins in bins.chunks_exact(PROPERTY_BINS) {
            self.adds_up("property_bins", bins, property_rows)?;
        }
        Ok(Bucket {
            window: self.text("window")?,
            start_ms: self.value::<TimestampMillisecondType>("start")?,
            end_ms: self.value::<TimestampMillisecondType>("end")?,
            profile: Profile {
                version,
                plan: self.text("plan")?,
                embeddings,
                properties,
                clusters,
                classes,
                bins,
            },
        })
    }

    fn moments(&self, rows: u64, names: SumNames) -> Result<Moments> {
        let [sum, products, cubes] =
            [names[0], names[1], names[2]].map(|name| self.list::<Float64Type>(name));
        let (sum, products, cubes) = (sum?, products?, cubes?);
        let fourth = self.value::<Float64Type>(names[3])?;
        let dim = sum.len();
        self.length(names[1], &products, dim * (dim + 1) / 2)?;
        self.length(names[2], &cubes, dim)?;
        for (name, values) in names
            .into_iter()
            .zip([&sum, &products, &cubes, &vec![fourth]])
        {
            if let Some(bad) = values.iter().find(|value| !value.is_finite()) {
                return Err(self.refuse(name, format!("holds {bad}")));
            }
        }
        Ok(Moments {
            dim,
            rows,
            sum,
            products,
            cubes,
            fourth,
        })
    }

    fn counts(&self, name: &str) -> Result<Vec<u64>> {
        self.list::<UInt64Type>(name)
    }

    fn length<T>(&self, name: &str, values: &[T], expected: usize) -> Result<()> {
        if values.len() == expected {
            return Ok(());
        }
        Err(self.refuse(name, format!("has {} values, not {expected}", values.len())))
    }

    fn adds_up(&self, name: &str, counts: &[u64], rows: u64) -> Result<()> {
        let total: u128 = counts.iter().map(|count| u128::from(*count)).sum();
        if total == u128::from(rows) {
            return Ok(());
        }
        Err(self.refuse(name, format!("counts {total} rows of {rows}")))
    }

    fn value<T: ArrowPrimitiveType>(&self, name: &str) -> Result<T::Native> {
        let column = self.column(name)?.as_primitive_opt::<T>();
        Ok(column.ok_or_else(|| self.other_type(name))?.value(self.row))
    }

    fn text(&self, name: &str) -> Result<String> {
        let column = self.column(name)?.as_string_opt::<i32>();
        let column = column.ok_or_else(|| self.other_type(name))?;
        Ok(column.value(self.row).to_owned())
    }

    fn list<T: ArrowPrimitiveType>(&self, name: &str) -> Result<Vec<T::Native>> {
        let column = self.column(name)?.as_list_opt::<i32>();
        let values = column.ok_or_else(|| self.other_type(name))?.value(self.row);
        let values = values
            .as_primitive_opt::<T>()
            .ok_or_else(|| self.other_type(name))?;
        if values.null_count() > 0 {
            return Err(self.refuse(name, "holds a null".to_owned()));
        }
        Ok(values.values().to_vec())
    }

    /// A column in which the row is not null.
    fn column(&self, name: &str) -> Result<&ArrayRef> {
        match self.batch.column_by_name(name) {
            None => Err(self.refuse(name, "is missing".to_owned())),
            Some(column) if column.is_null(self.row) => {
                Err(self.refuse(name, "is null".to_owned()))
            }
            Some(column) => Ok(column),
        }
    }

    fn other_type(&self, name: &str) -> Error {
        let column = self.batch.column_by_name(name);
        let found = column.map_or(&DataType::Null, |column| column.data_type());
        self.refuse(name, format!("cannot be {found}"))
    }

    fn refuse(&self, name: &str, what: String) -> Error {
        let message = format!("column `{name}` {what}");
        Error::new(ErrorKind::InvalidData, "read profiles", message)
            .with("row", self.row)
            .remedy("profiles are made by `driftline run`")
    }
}
