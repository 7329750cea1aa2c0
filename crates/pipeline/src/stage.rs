//! The stages of a run, the baseline and each window: parts of rows, those that are on disk already or are embedded now.

use std::time::Duration;

use driftline_core::{
    Ack, DriftTransform, EmbeddingBackend, Error, ErrorKind, ImageSource, MonitorSink, Result,
    RowSchema,
};
use driftline_stats::Bucket;

use crate::embed::bad_image;
use crate::folder::RunFolder;
use crate::part::{EmbeddedPart, PART_ROWS, PartBuilder, RowNames};
use crate::summary::{LISTED_SKIPS, SinkSummary, SkippedInStage, Timing};
use crate::{Cancel, EmbedOptions, OnError, Progress, embed};

/// What the stages of a run share, and what they have done so far.
pub(crate) struct Stages<'a> {
    pub(crate) run_id: String,
    pub(crate) schema: RowSchema,
    pub(crate) options: EmbedOptions,
    pub(crate) folder: RunFolder,
    pub(crate) backend: &'a mut dyn EmbeddingBackend,
    pub(crate) sink: &'a mut dyn MonitorSink,
    cancel: &'a Cancel,
    pub(crate) progress: &'a dyn Progress,
    images: u64,
    embedding: Duration,
    pub(crate) skipped_images: u64,
    pub(crate) skipped: Vec<SkippedInStage>,
    pub(crate) events: Ack,
    pub(crate) profiles: Vec<Bucket>,
}

impl<'a> Stages<'a> {
    /// Of a run that begins.
    pub(crate) fn new(
        (run_id, schema, options): (String, RowSchema, EmbedOptions),
        folder: RunFolder,
        (backend, sink): (&'a mut dyn EmbeddingBackend, &'a mut dyn MonitorSink),
        (cancel, progress): (&'a Cancel, &'a dyn Progress),
    ) -> Self {
        Self {
            run_id,
            schema,
            options,
            folder,
            backend,
            sink,
            cancel,
            progress,
            images: 0,
            embedding: Duration::ZERO,
            skipped_images: 0,
            skipped: Vec::new(),
            events: Ack::default(),
            profiles: Vec::new(),
        }
    }

    /// Names and times of the rows of a stage.
    pub(crate) fn names(&self, stage: &str, timestamp_ms: i64) -> RowNames {
        RowNames {
            schema: self.schema.clone(),
            run_id: self.run_id.clone(),
            window: stage.to_owned(),
            timestamp_ms,
        }
    }

    /// What the sink has taken.
    pub(crate) fn sink_summary(&self) -> SinkSummary {
        SinkSummary {
            name: self.sink.info().name.clone(),
            location: self.sink.info().location.clone(),
            rows_published: self.events.accepted,
            rows_duplicate: self.events.duplicates,
        }
    }

    /// How long it took, `total` altogether.
    pub(crate) fn timing(&self, total: Duration) -> Timing {
        Timing {
            total_seconds: total.as_secs_f64(),
            embed_seconds: self.embedding.as_secs_f64(),
            images: self.images,
            images_per_second: if self.images == 0 {
                0.0
            } else {
                self.images as f64 / self.embedding.as_secs_f64()
            },
        }
    }

    /// Hands all parts of a stage, in order, to `consume`: first those that an earlier start left on disk, then those
    /// embedded now.
    pub(crate) fn run(
        &mut self,
        stage: &str,
        mut source: Box<dyn ImageSource>,
        transforms: &[Box<dyn DriftTransform>],
        timestamp_ms: i64,
        mut consume: impl FnMut(&EmbeddedPart, &mut dyn MonitorSink) -> Result<()> + Send,
    ) -> Result<()> {
        let names = self.names(stage, timestamp_ms);
        self.progress.begin(stage, source.info().rows);
        let mut index = 0;
        let mut next_row = 0;
        let mut skips = Vec::new();
        // A part of another schema is that of an earlier driftline: it counts as not there.
        let kept = |part: &EmbeddedPart| *part.rows.schema() == self.schema;
        while let Some(part) = self.folder.read(stage, index).filter(kept) {
            self.cancel.check()?;
            if self.options.on_error == OnError::Fail
                && let Some(bad) = part.skipped.first()
            {
                return Err(bad_image(bad, &source.info().location));
            }
            consume(&part, self.sink)?;
            next_row += part.source_rows;
            self.progress.advance(part.source_rows);
            skips.extend(part.skipped);
            index += 1;
            if part.source_rows < PART_ROWS {
                break;
            }
        }
        if next_row > 0 {
            self.progress
                .note(&format!("{stage}: {next_row} rows were embedded before"));
        }
        if next_row.is_multiple_of(PART_ROWS) {
            source.skip_rows(next_row)?;
            let mut builder = PartBuilder::new(names, next_row);
            let (folder, progress, sink) = (&self.folder, self.progress, &mut *self.sink);
            let mut complete = |index: u64, part: EmbeddedPart| {
                folder.write(stage, index, &part)?;
                consume(&part, sink)?;
                skips.extend(part.skipped);
                Ok(())
            };
            let (images, spent) = embed(
                source.as_mut(),
                transforms,
                self.backend,
                self.options,
                self.cancel,
                |batch| {
                    progress.advance(batch.source_rows());
                    builder.add(&batch, &mut complete)
                },
            )?;
            if let Some((index, part)) = builder.finish()? {
                complete(index, part)?;
            }
            self.images += images;
            self.embedding += spent;
        }
        self.progress.end();
        self.skipped_images += skips.len() as u64;
        let room = LISTED_SKIPS.saturating_sub(self.skipped.len());
        self.skipped
            .extend(skips.into_iter().take(room).map(|image| SkippedInStage {
                stage: stage.to_owned(),
                image,
            }));
        Ok(())
    }
}

/// The error of a stage whose source has no image that can be used.
pub(crate) fn no_images(stage: &str, what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        "run",
        format!("{what} has no usable image"),
    )
    .with("stage", stage)
    .remedy("run again with `--on-error fail` to see what is wrong with the first of them")
}
