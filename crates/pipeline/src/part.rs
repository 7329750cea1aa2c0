//! Embedded rows in parts of fixed extent: [`PART_ROWS`] source rows, counted from the start of the source. A part depends on
//! nothing but the source.

use driftline_core::{Label, Result, Row, RowSchema, Rows, RowsBuilder, SkippedImage, SourceRow};
use driftline_properties::COUNT;

use crate::Embedded;

/// Source rows in a part: 4.5 MB of embeddings at 128-d.
pub const PART_ROWS: u64 = 8192;

/// The embedded rows of one stretch of a source.
#[derive(Debug)]
pub struct EmbeddedPart {
    /// Usable rows, in the order of the source.
    pub rows: Rows,
    /// Rows that could not be used.
    pub skipped: Vec<SkippedImage>,
    /// Source rows covered.
    pub source_rows: u64,
}

/// Names and times that rows of one stage share.
#[derive(Debug, Clone)]
pub struct RowNames {
    /// Embedding length, classes and [`PROPERTIES`](driftline_properties::PROPERTIES).
    pub schema: RowSchema,
    /// Run id; `event_id` is `<run id>-<window>-<row, 8 digits>`.
    pub run_id: String,
    /// Name of the window, or `baseline`.
    pub window: String,
    /// Time of every row, in milliseconds since 1970-01-01T00:00:00Z.
    pub timestamp_ms: i64,
}

impl RowNames {
    /// The unique name of row or event `number`.
    pub fn event_id(&self, number: u64) -> String {
        format!("{}-{}-{number:08}", self.run_id, self.window)
    }
}

/// Collects embedded batches of any size into parts.
pub struct PartBuilder {
    names: RowNames,
    builder: RowsBuilder,
    skipped: Vec<SkippedImage>,
    next_row: u64,
}

impl PartBuilder {
    /// Starts at source row `next_row`, a multiple of [`PART_ROWS`].
    pub fn new(names: RowNames, next_row: u64) -> Self {
        Self {
            builder: RowsBuilder::new(names.schema.clone()),
            names,
            skipped: Vec::new(),
            next_row,
        }
    }

    /// Adds a batch; hands every part that is complete with its number to `complete`.
    pub fn add(
        &mut self,
        batch: &Embedded,
        mut complete: impl FnMut(u64, EmbeddedPart) -> Result<()>,
    ) -> Result<()> {
        let end = self.next_row + batch.source_rows();
        let mut usable = batch.rows.iter().enumerate().peekable();
        let mut skipped = batch.skipped.iter().peekable();
        while self.next_row < end {
            let boundary = (self.next_row / PART_ROWS + 1) * PART_ROWS;
            while let Some((i, row)) = usable.next_if(|(_, row)| row.row < boundary) {
                self.push(row, batch, i)?;
            }
            while let Some(bad) = skipped.next_if(|bad| bad.row < boundary) {
                self.skipped.push(bad.clone());
            }
            if end < boundary {
                self.next_row = end;
            } else {
                let part = self.take(PART_ROWS)?;
                complete(boundary / PART_ROWS - 1, part)?;
                self.next_row = boundary;
            }
        }
        Ok(())
    }

    /// The last, shorter part with its number, if there is one.
    pub fn finish(mut self) -> Result<Option<(u64, EmbeddedPart)>> {
        let source_rows = self.next_row % PART_ROWS;
        if source_rows == 0 {
            return Ok(None);
        }
        let part = self.take(source_rows)?;
        Ok(Some((self.next_row / PART_ROWS, part)))
    }

    fn push(&mut self, row: &SourceRow, batch: &Embedded, i: usize) -> Result<()> {
        let (dim, classes) = (self.names.schema.dim, self.names.schema.classes.len());
        let target = match &row.label {
            None => None,
            Some(Label::Name(name)) => Some(name.as_str()),
            Some(Label::Index(index)) => self
                .names
                .schema
                .classes
                .get(*index as usize)
                .map(String::as_str),
        };
        self.builder.push(&Row {
            event_id: &self.names.event_id(row.row),
            timestamp_ms: self.names.timestamp_ms,
            embedding: &batch.inference.embeddings[i * dim..][..dim],
            scores: &batch.inference.scores[i * classes..][..classes],
            target,
            image_url: &row.url,
            image_number: row.row as i64,
            window: &self.names.window,
            properties: &batch.properties[i * COUNT..][..COUNT],
        })
    }

    fn take(&mut self, source_rows: u64) -> Result<EmbeddedPart> {
        Ok(EmbeddedPart {
            rows: Rows::new(self.builder.finish()?)?,
            skipped: std::mem::take(&mut self.skipped),
            source_rows,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use driftline_core::Inference;

    use super::*;

    fn names() -> RowNames {
        RowNames {
            schema: RowSchema::new(1, vec!["cat".to_owned()])
                .unwrap()
                .with_properties(driftline_properties::names()),
            run_id: "r".to_owned(),
            window: "w".to_owned(),
            timestamp_ms: 5,
        }
    }

    /// Rows `first..first + n`, of which every tenth is skipped.
    fn batch(first: u64, n: u64) -> Embedded {
        let (bad, good): (Vec<u64>, Vec<u64>) = (first..first + n).partition(|row| row % 10 == 3);
        Embedded {
            inference: Inference {
                embeddings: good.iter().map(|row| *row as f32).collect(),
                scores: vec![1.0; good.len()],
            },
            properties: vec![0.5; good.len() * COUNT],
            rows: good
                .into_iter()
                .map(|row| SourceRow {
                    row,
                    label: Some(Label::Index(0)),
                    url: String::new(),
                })
                .collect(),
            skipped: bad
                .into_iter()
                .map(|row| SkippedImage {
                    row,
                    url: String::new(),
                    reason: "bad".to_owned(),
                })
                .collect(),
        }
    }

    /// The parts of a source of `total` rows with their numbers.
    pub(crate) fn parts(total: u64, batch_size: u64) -> Vec<(u64, EmbeddedPart)> {
        let mut builder = PartBuilder::new(names(), 0);
        let mut parts = Vec::new();
        let mut row = 0;
        while row < total {
            let n = batch_size.min(total - row);
            builder
                .add(&batch(row, n), |index, part| {
                    parts.push((index, part));
                    Ok(())
                })
                .unwrap();
            row += n;
        }
        parts.extend(builder.finish().unwrap());
        parts
    }

    #[test]
    fn parts_do_not_depend_on_batch_size() {
        let total = 2 * PART_ROWS + 100;
        let reference = parts(total, 256);
        assert_eq!(reference.len(), 3);
        assert_eq!(reference[2].1.source_rows, 100);
        for batch_size in [7, 10_000, total] {
            let other = parts(total, batch_size);
            assert_eq!(other.len(), reference.len());
            for ((i, a), (j, b)) in other.iter().zip(&reference) {
                assert_eq!(
                    (i, &a.skipped, a.source_rows),
                    (j, &b.skipped, b.source_rows)
                );
                assert_eq!(a.rows.batch(), b.rows.batch());
            }
        }
    }
}
