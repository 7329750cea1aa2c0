//! Profiles as Arrow columns: written and read back exactly, and damage named.

use std::sync::Arc;

use arrow_array::builder::{ListBuilder, PrimitiveBuilder};
use arrow_array::types::{ArrowPrimitiveType, Float64Type, UInt64Type};
use arrow_array::{ArrayRef, Float64Array, RecordBatch, UInt32Array, UInt64Array};
use driftline_core::{Error, ErrorKind};
use driftline_stats::{
    Bucket, Moments, PROFILE_VERSION, Profile, buckets_from_batch, buckets_to_batch,
};
use proptest::collection::vec;
use proptest::prelude::*;

const PROPERTY_BINS: usize = 32;

/// Moments with these sums, products, cubes and fourth.
fn moments(dim: usize, rows: u64, sums: Vec<f64>) -> Moments {
    let (sum, rest) = sums.split_at(dim);
    let (products, rest) = rest.split_at(dim * (dim + 1) / 2);
    let (cubes, fourth) = rest.split_at(dim);
    let value = serde_json::json!({
        "dim": dim, "rows": rows, "sum": sum, "products": products, "cubes": cubes, "fourth": fourth[0],
    });
    serde_json::from_value(value).unwrap()
}

fn any_moments(dim: usize, rows: u64) -> impl Strategy<Value = Moments> {
    let finite = any::<f64>().prop_filter("finite", |value| value.is_finite());
    vec(finite, dim + dim * (dim + 1) / 2 + dim + 1).prop_map(move |sums| moments(dim, rows, sums))
}

/// Counts of any size with their sum.
fn counts(bins: usize) -> impl Strategy<Value = (Vec<u64>, u64)> {
    vec(0..1_u64 << 40, bins).prop_map(|counts| {
        let total = counts.iter().sum();
        (counts, total)
    })
}

fn any_bucket() -> impl Strategy<Value = Bucket> {
    let sizes = (1..6_usize, 0..3_usize, 0..2_usize);
    let all = (sizes, counts(5), counts(PROPERTY_BINS));
    all.prop_flat_map(
        |((dim, properties, classes), (clusters, rows), (bins, measured))| {
            let sums = (any_moments(dim, rows), any_moments(properties, measured));
            let rest = (".*", ".*", any::<(i64, i64)>());
            (sums, rest).prop_map(
                move |((embeddings, sums), (plan, window, (start_ms, end_ms)))| Bucket {
                    window,
                    start_ms,
                    end_ms,
                    profile: Profile {
                        version: PROFILE_VERSION,
                        plan,
                        embeddings,
                        properties: sums,
                        clusters: clusters.clone(),
                        classes: vec![rows; classes],
                        bins: bins.repeat(properties),
                    },
                },
            )
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(buckets in vec(any_bucket(), 0..4)) {
        let batch = buckets_to_batch(&buckets).unwrap();
        prop_assert_eq!(buckets_from_batch(&batch).unwrap(), buckets);
    }
}

fn lists<T: ArrowPrimitiveType>(rows: [&[T::Native]; 2]) -> ArrayRef {
    let mut builder = ListBuilder::new(PrimitiveBuilder::<T>::new());
    for row in rows {
        builder.values().append_slice(row);
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn two() -> RecordBatch {
    let moments = |dim: usize| moments(dim, 3, vec![0.0; dim + dim * (dim + 1) / 2 + dim + 1]);
    let bucket = Bucket {
        window: "w".to_owned(),
        start_ms: 0,
        end_ms: 1,
        profile: Profile {
            version: PROFILE_VERSION,
            plan: "p".to_owned(),
            embeddings: moments(2),
            properties: moments(1),
            clusters: vec![1, 2],
            classes: vec![3],
            bins: [vec![0; PROPERTY_BINS - 1], vec![3]].concat(),
        },
    };
    buckets_to_batch(&[bucket.clone(), bucket]).unwrap()
}

/// Reads the two rows with another column in place of `name`.
fn with(name: &str, column: ArrayRef) -> Error {
    let batch = two();
    let names = batch.schema();
    let columns = names.fields().iter().zip(batch.columns());
    let columns = columns.map(|(field, old)| {
        let new = if field.name() == name { &column } else { old };
        (field.name().as_str(), Arc::clone(new), true)
    });
    buckets_from_batch(&RecordBatch::try_from_iter_with_nullable(columns).unwrap()).unwrap_err()
}

#[test]
fn damage_is_named_by_row_and_column() {
    let (doubles, counts) = (lists::<Float64Type>, lists::<UInt64Type>);
    let nan: &[f64] = &[0.0, f64::NAN];
    for (name, column, what) in [
        ("embedding_sum", doubles([&[0.0; 2], nan]), "holds NaN"),
        (
            "embedding_cubes",
            doubles([&[0.0; 2], &[0.0]]),
            "has 1 values, not 2",
        ),
        (
            "embedding_products",
            doubles([&[0.0; 3], &[0.0; 4]]),
            "has 4 values, not 3",
        ),
        ("property_bins", counts([&[]; 2]), "has 0 values, not 32"),
        ("clusters", counts([&[1, 2], &[1, 3]]), "counts 4 rows of 3"),
        (
            "classes",
            counts([&[3], &[u64::MAX, u64::MAX]]),
            "counts 3689",
        ),
        (
            "rows",
            Arc::new(UInt64Array::from(vec![Some(3), None])),
            "is null",
        ),
        (
            "rows",
            Arc::new(UInt32Array::from(vec![3, 3])),
            "cannot be UInt32",
        ),
        ("clusters", doubles([&[1.0, 2.0]; 2]), "cannot be List"),
        (
            "plan",
            Arc::new(UInt32Array::from(vec![3, 3])),
            "cannot be UInt32",
        ),
        (
            "property_fourth",
            Arc::new(Float64Array::from(vec![0.0, f64::INFINITY])),
            "holds inf",
        ),
    ] {
        let error = with(name, column);
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{name}");
        let text = error.to_string();
        assert!(text.contains(&format!("column `{name}` {what}")), "{text}");
        assert!(text.contains("(row: "), "{text}");
    }
    let holes = UInt64Array::from(vec![Some(1), None, Some(2), Some(1)]);
    let mut builder = ListBuilder::new(PrimitiveBuilder::<UInt64Type>::new());
    for row in [&holes.slice(0, 2), &holes.slice(2, 2)] {
        builder.values().append_array(row);
        builder.append(true);
    }
    let text = with("clusters", Arc::new(builder.finish())).to_string();
    assert!(text.contains("column `clusters` holds a null"), "{text}");
    let older = with("version", Arc::new(UInt32Array::from(vec![1, 0])));
    assert_eq!(older.kind(), ErrorKind::Unsupported);
    let without = two().project(&[0, 1, 2, 3, 4]).unwrap();
    let text = buckets_from_batch(&without).unwrap_err().to_string();
    assert!(text.contains("column `rows` is missing"), "{text}");
}
