//! pandas, polars and DuckDB read the store as is.

// `allow-unwrap-in-tests` does not reach the helper functions of this file.

use std::process::Command;

use crate::common::{rows, sink};
use driftline_core::MonitorSink;

fn python() -> String {
    std::env::var("DRIFTLINE_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Runs `code` over a store with 50 baseline rows and 250 events; skips if `module` cannot be imported.
fn read_with(modules: &str, code: &str) {
    let probe = Command::new(python())
        .args(["-c", &format!("import {modules}")])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        // Where the interpreter was chosen for the tests, what is missing is a failure.
        assert!(
            std::env::var_os("DRIFTLINE_PYTHON").is_none(),
            "{} cannot import {modules}",
            python()
        );
        println!(
            "skipped: reading with {modules}, because {} cannot import it",
            python()
        );
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(folder.path());
    sink.publish_baseline(&rows(0..50)).unwrap();
    sink.publish_events(&rows(0..150)).unwrap();
    sink.publish_events(&rows(100..250)).unwrap();
    // Neither the half-written file of another process nor a damaged one may disturb a reader.
    let day = folder.path().join("p/m/events/date=2026-11-01");
    std::fs::write(day.join(".driftline-1-0.tmp"), b"PAR1").unwrap();
    let output = Command::new(python())
        .args(["-c", code])
        .arg(folder.path().join("p/m"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn pandas() {
    read_with(
        "pandas, pyarrow",
        r#"
import sys, pandas as pd, numpy as np, pyarrow.parquet as pq
baseline = pd.read_parquet(f"{sys.argv[1]}/baseline")
events = pd.read_parquet(f"{sys.argv[1]}/events")
assert len(baseline) == 50 and len(events) == 250, (len(baseline), len(events))
assert events["event_id"].is_unique and sorted(events["date"].astype(str).unique()) == ["2026-11-01", "2026-11-02", "2026-11-03"]
assert str(events["timestamp"].dt.tz) == "UTC"
assert (events["timestamp"].dt.strftime("%Y-%m-%d") == events["date"].astype(str)).all()
embeddings = np.stack(events["embeddings"])
assert embeddings.shape == (250, 8) and embeddings.dtype == np.float32
i = events["image_number"].to_numpy()
expected = ((i[:, None] * 31 + np.arange(8) * 7) % 97).astype(np.float32) / np.float32(9)
assert (embeddings == expected).all()
assert events["target"].isna().sum() == 50 and (events["dog"] == 0.75).all()
schema = pq.read_schema(next(__import__("pathlib").Path(sys.argv[1], "baseline").glob("*.parquet")))
assert str(schema.field("embeddings").type).startswith("fixed_size_list<element: float not null>[8]"), schema
"#,
    );
}

#[test]
fn polars() {
    read_with(
        "polars",
        r#"
import sys, polars as pl
baseline = pl.read_parquet(f"{sys.argv[1]}/baseline/*.parquet")
events = pl.read_parquet(f"{sys.argv[1]}/events/**/*.parquet", hive_partitioning=True)
assert baseline.height == 50 and events.height == 250
assert events.schema["embeddings"] == pl.Array(pl.Float32, 8), events.schema
assert events.schema["timestamp"] == pl.Datetime("ms", "UTC"), events.schema
assert events["event_id"].n_unique() == 250 and events["date"].n_unique() == 3
assert events["target"].null_count() == 50
row = events.filter(pl.col("image_number") == 123)
assert row["embeddings"].to_list()[0][1] == pl.Series([(123 * 31 + 7) % 97 / 9], dtype=pl.Float32)[0]
"#,
    );
}

#[test]
fn duckdb() {
    read_with(
        "duckdb",
        r#"
import sys, duckdb
events = f"read_parquet('{sys.argv[1]}/events/*/*.parquet', hive_partitioning = true)"
rows, ids, days = duckdb.sql(f"select count(*), count(distinct event_id), count(distinct date) from {events}").fetchall()[0]
assert (rows, ids, days) == (250, 250, 3), (rows, ids, days)
assert duckdb.sql(f"select count(*) from '{sys.argv[1]}/baseline/*.parquet'").fetchall() == [(50,)]
types = {r[0]: r[1] for r in duckdb.sql(f"describe select * from {events}").fetchall()}
assert types["embeddings"] in ("FLOAT[]", "FLOAT[8]") and types["timestamp"] == "TIMESTAMP WITH TIME ZONE", types
assert duckdb.sql(f"select count(*) from {events} where target is null and len(embeddings) = 8").fetchall() == [(50,)]
"#,
    );
}
