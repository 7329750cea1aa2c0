//! Files as clients 1 and 2 upload them.

use std::fmt::Write;
use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder};
use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;

/// What the rows look like.
pub struct Rows<'a> {
    pub dim: usize,
    pub classes: &'a [&'a str],
    pub count: usize,
    /// The first row's number: two files with other numbers have other rows.
    pub from: usize,
}

/// Milliseconds of the first row, which is 2026-11-02T00:00:00Z; each later one is a minute later.
const FIRST: i64 = 1_793_577_600_000;

impl Rows<'_> {
    fn value(&self, row: usize, k: usize) -> f32 {
        let class = (row % self.classes.len()) as f32;
        let noise = ((row * 7919 + k * 104_729) % 1000) as f32 / 2000.0;
        if k % self.classes.len() == row % self.classes.len() {
            5.0 + class + noise
        } else {
            noise
        }
    }

    fn score(&self, row: usize, class: usize) -> f32 {
        let others = self.classes.len() as f32 - 1.0;
        if row % self.classes.len() == class {
            0.7
        } else {
            0.3 / others
        }
    }

    fn target(&self, row: usize) -> &str {
        self.classes[row % self.classes.len()]
    }

    fn numbers(&self) -> std::ops::Range<usize> {
        self.from..self.from + self.count
    }

    /// CSV with a column for each value of the embedding; `ids` and times for events.
    pub fn csv(&self, events: bool) -> Vec<u8> {
        let mut names: Vec<String> = (0..self.dim).map(|k| format!("emb_{k}")).collect();
        names.extend(self.classes.iter().map(|class| (*class).to_owned()));
        names.extend(["target", "image_number", "image_url"].map(str::to_owned));
        if events {
            names.extend(["timestamp", "event_id"].map(str::to_owned));
        }
        let mut text = names.join(",") + "\n";
        for row in self.numbers() {
            for k in 0..self.dim {
                write!(text, "{},", self.value(row, k)).unwrap();
            }
            for class in 0..self.classes.len() {
                write!(text, "{},", self.score(row, class)).unwrap();
            }
            write!(text, "{},{row},http://img/{row}.jpg", self.target(row)).unwrap();
            if events {
                write!(text, ",{},event-{row}", self.time(row)).unwrap();
            }
            text.push('\n');
        }
        text.into_bytes()
    }

    fn time(&self, row: usize) -> i64 {
        FIRST + row as i64 * 60_000
    }

    /// Parquet with lists of doubles.
    pub fn parquet(&self, events: bool) -> Vec<u8> {
        let mut lists = ListBuilder::new(Float64Builder::new());
        for row in self.numbers() {
            for k in 0..self.dim {
                lists.values().append_value(f64::from(self.value(row, k)));
            }
            lists.append(true);
        }
        let mut columns: Vec<(String, ArrayRef)> =
            vec![("embeddings".to_owned(), Arc::new(lists.finish()))];
        for (number, class) in self.classes.iter().enumerate() {
            let scores = self.numbers().map(|row| self.score(row, number));
            columns.push((
                (*class).to_owned(),
                Arc::new(Float32Array::from_iter_values(scores)),
            ));
        }
        let text = |value: &dyn Fn(usize) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(self.numbers().map(value)))
        };
        columns.push((
            "target".to_owned(),
            text(&|row| self.target(row).to_owned()),
        ));
        columns.push((
            "image_url".to_owned(),
            text(&|row| format!("http://img/{row}.jpg")),
        ));
        if events {
            let times = Int64Array::from_iter_values(self.numbers().map(|row| self.time(row)));
            columns.push(("timestamp".to_owned(), Arc::new(times)));
            columns.push(("event_id".to_owned(), text(&|row| format!("event-{row}"))));
        }
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }
}

/// The true classes of events, learnt later, as CSV.
pub fn labels(labels: &[(&str, &str)]) -> Vec<u8> {
    let lines = labels.iter().map(|(id, target)| format!("{id},{target}\n"));
    format!("event_id,target\n{}", lines.collect::<String>()).into_bytes()
}
