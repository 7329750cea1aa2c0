//! Images -> embeddings, over threads with bounded queues between them.
//!
//! ```text
//! reader: decode, transform, image properties ──queue──▶ backend (this thread) ──queue──▶ consumer: rows, files, sink
//! ```

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use driftline_core::{
    DriftTransform, EmbeddingBackend, Error, ErrorKind, ImageSource, Inference, Label, Result,
    SkippedImage, SourceBatch, SourceRow, TransformContext,
};
use driftline_properties::COUNT;
use serde::{Deserialize, Serialize};

use crate::Cancel;

/// Batches that may wait between two stages.
const QUEUE: usize = 2;

/// How a run handles an image that cannot be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// It is skipped, counted and listed.
    #[default]
    Skip,
    /// It ends the run.
    Fail,
}

/// How images are embedded.
#[derive(Debug, Clone, Copy)]
pub struct EmbedOptions {
    /// Images per backend call, at least 1.
    pub batch_size: usize,
    /// Seed of the transforms.
    pub seed: u64,
    /// How an image that cannot be read is handled.
    pub on_error: OnError,
}

/// The embedded images of one batch.
#[derive(Debug)]
pub struct Embedded {
    /// One for each image, in order.
    pub rows: Vec<SourceRow>,
    /// Embeddings and scores of these rows.
    pub inference: Inference,
    /// Their image properties, f32 `[N, driftline_properties::COUNT]`.
    pub properties: Vec<f32>,
    /// Rows that could not be used, among and after `rows`.
    pub skipped: Vec<SkippedImage>,
}

impl Embedded {
    /// Source rows that this batch passed over, skipped ones included.
    pub fn source_rows(&self) -> u64 {
        (self.rows.len() + self.skipped.len()) as u64
    }
}

/// Embeds all that is left in `source` and hands the batches, in order, to `consume`, which runs on its own thread.
///
/// Returns the number of images embedded and the time spent inside the backend.
pub fn embed(
    source: &mut dyn ImageSource,
    transforms: &[Box<dyn DriftTransform>],
    backend: &mut dyn EmbeddingBackend,
    options: EmbedOptions,
    cancel: &Cancel,
    mut consume: impl FnMut(Embedded) -> Result<()> + Send,
) -> Result<(u64, Duration)> {
    let location = source.info().location.clone();
    let (to_backend, from_reader) = bounded(QUEUE);
    let (to_consumer, from_backend) = bounded::<Embedded>(QUEUE);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| read(source, transforms, options, cancel, to_backend));
        let consumer = scope.spawn(move || from_backend.into_iter().try_for_each(&mut consume));
        let worked = infer(backend, options, &location, from_reader, to_consumer);
        // The receiver is gone by now, so a reader that still had work ends at its next send.
        let read = reader.join().unwrap_or_else(|_| Err(panicked("reader")));
        let consumed = consumer
            .join()
            .unwrap_or_else(|_| Err(panicked("consumer")));
        // A failed consumer ends the others early; its error is the cause, so it comes first.
        consumed?;
        let worked = worked?;
        read?;
        Ok(worked)
    })
}

/// What the reader hands on.
struct Measured {
    batch: SourceBatch,
    properties: Vec<f32>,
}

fn panicked(stage: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        "embed",
        format!("the {stage} thread panicked"),
    )
}

fn read(
    source: &mut dyn ImageSource,
    transforms: &[Box<dyn DriftTransform>],
    options: EmbedOptions,
    cancel: &Cancel,
    to_backend: Sender<Measured>,
) -> Result<()> {
    while let Some(mut batch) = source.next_batch(options.batch_size)? {
        cancel.check()?;
        if options.on_error == OnError::Fail
            && let Some(bad) = batch.skipped.first()
        {
            return Err(bad_image(bad, &source.info().location));
        }
        let rows: Vec<u64> = batch.rows.iter().map(|row| row.row).collect();
        let context = TransformContext {
            seed: options.seed,
            rows: &rows,
        };
        for transform in transforms {
            transform.apply(&mut batch.images, &context)?;
        }
        let properties = driftline_properties::measure(batch.images.view());
        if to_backend.send(Measured { batch, properties }).is_err() {
            break;
        }
    }
    Ok(())
}

/// An image that ends a run.
pub(crate) fn bad_image(bad: &SkippedImage, source: &str) -> Error {
    Error::new(ErrorKind::InvalidData, "read images", bad.reason.clone())
        .with("source", source)
        .with("row", bad.row)
        .with("image", &bad.url)
        .remedy("repair or remove it, or let such images be left out with `run.on_error=skip`")
}

fn infer(
    backend: &mut dyn EmbeddingBackend,
    options: EmbedOptions,
    location: &str,
    from_reader: Receiver<Measured>,
    to_consumer: Sender<Embedded>,
) -> Result<(u64, Duration)> {
    let mut images = 0;
    let mut spent = Duration::ZERO;
    for Measured { batch, properties } in from_reader {
        let mut inference = Inference::default();
        inference.reset(backend.info(), batch.images.len());
        let start = Instant::now();
        backend.embed(batch.images.view(), &mut inference.as_mut())?;
        spent += start.elapsed();
        images += batch.images.len() as u64;
        let mut embedded = Embedded {
            rows: batch.rows,
            inference,
            properties,
            skipped: batch.skipped,
        };
        check_finite(backend, &embedded)?;
        refuse_labels(backend, &mut embedded, options.on_error, location)?;
        if to_consumer.send(embedded).is_err() {
            break;
        }
    }
    Ok((images, spent))
}

/// An unwritten or broken value must never reach a store.
fn check_finite(backend: &dyn EmbeddingBackend, embedded: &Embedded) -> Result<()> {
    let info = backend.info();
    let broken = |values: &[f32], width: usize| {
        values
            .iter()
            .position(|value| !value.is_finite())
            .map(|at| at / width)
    };
    let row = broken(&embedded.inference.embeddings, info.dim)
        .or_else(|| broken(&embedded.inference.scores, info.classes.len()));
    match row.and_then(|at| embedded.rows.get(at)) {
        None => Ok(()),
        Some(row) => Err(Error::new(
            ErrorKind::InvalidData,
            "embed",
            "the backend gave a value that is not finite",
        )
        .with("backend", &info.name)
        .with("row", row.row)
        .with("image", &row.url)
        .remedy("check the weights of the model")),
    }
}

/// Moves rows whose label is not a class of the model to the skipped ones.
fn refuse_labels(
    backend: &dyn EmbeddingBackend,
    embedded: &mut Embedded,
    on_error: OnError,
    location: &str,
) -> Result<()> {
    let (dim, classes) = (backend.info().dim, backend.info().classes.len());
    let out_of_range =
        |row: &SourceRow| matches!(row.label, Some(Label::Index(label)) if label >= classes as u64);
    if !embedded.rows.iter().any(out_of_range) {
        return Ok(());
    }
    let rows = std::mem::take(&mut embedded.rows);
    let Inference { embeddings, scores } = std::mem::take(&mut embedded.inference);
    let properties = std::mem::take(&mut embedded.properties);
    for (i, row) in rows.into_iter().enumerate() {
        match row.label {
            Some(Label::Index(label)) if label >= classes as u64 => {
                let bad = SkippedImage {
                    row: row.row,
                    url: row.url,
                    reason: format!(
                        "the label {label} is not one of the model's {classes} classes"
                    ),
                };
                if on_error == OnError::Fail {
                    return Err(bad_image(&bad, location));
                }
                embedded.skipped.push(bad);
            }
            _ => {
                let kept = &mut embedded.inference;
                kept.embeddings.extend(&embeddings[i * dim..][..dim]);
                kept.scores.extend(&scores[i * classes..][..classes]);
                let properties = &properties[i * COUNT..][..COUNT];
                embedded.properties.extend(properties);
                embedded.rows.push(row);
            }
        }
    }
    embedded.skipped.sort_by_key(|bad| bad.row);
    Ok(())
}
